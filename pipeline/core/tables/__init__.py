"""The contracts of the tables that stages hand on."""
