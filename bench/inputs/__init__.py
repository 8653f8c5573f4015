"""Files that a shop may hand over: whole ones, broken ones and hostile ones."""
