"""DHCP options 66, 67 and 150 for the DHCP servers that farms use."""
