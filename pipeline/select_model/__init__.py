"""The segmentation that passes the gates and predicts later spend best."""
