"""The `oldphoto` command, one module for each family of commands."""
