"""DNS messages: queries, EDNS options, cookies, TSIG, resource records."""
