"""Config that an admin copies to other servers, made from template files."""
