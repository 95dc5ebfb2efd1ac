"""Verbs that need no running rrdns: probe, query, boot, lab, dhcp, delegation."""
