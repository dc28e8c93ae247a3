"""Whether a domain's DNS lets SmartSender send in its name: SPF, DKIM, DomainKey, DMARC, MX."""
