"""What SmartSender's page asks of a domain ("DNS Settings", 19 February 2017), word for word.

SPF and DKIM are required. DomainKey and DMARC are "highly recommended". The MX record stands only in the block for
administrators: a domain that receives its mail elsewhere keeps its own.
"""

from typing import Final

SPF_INCLUDE: Final = "_spf.sndmart.click"
SPF_OTHER_INCLUDE: Final = "_spf.sndmart.com"  #: beside the other in the block for administrators, nowhere else
SPF: Final = f"v=spf1 include:{SPF_INCLUDE} ?all"

DKIM_SELECTOR: Final = "sndmart"
DKIM: Final = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDQsd1Aqf76HSFl1pHlNTNXV+RheaaXRg022UvaB/Vfc1vYHSh/"
    "lUl1CW0IHuUnxVEy5XQlS2Xg0WUJXHedWskzFlYZL0uhb1q3XOaFIC1t7wXBzOfye76JK3UVu93RtBF+u8ohyIiN4I4bRsCGJcCoPm7rxhMIZWtuu"
    "HlGyCVERQIDAQAB"
)

DOMAINKEY_SELECTOR: Final = "sm1"
DOMAINKEY: Final = (
    "k=rsa; t=y; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDXXcn/chLfDn45y2vTerKuOoe4D3R4x5v3WGuJE+ttIlphvI2UIJ+L6g695Xz"
    "UVW9186VHhwkSPicxohqTZq4kHRL2byNIDKhWa6e8Bwh9jU0y0D5NNDdH366+34vwoc5a5oVFHsiak9jfN7O7J6B8fOElEFmZEsgQjLHmU1VjiwI"
    "DAQAB"
)

MX_HOST: Final = "mail1.sndmart.com"
MX: Final = f"5 {MX_HOST}."


def dmarc(domain: str) -> str:
    """The record the page proposes: only watching, with reports to the postmaster."""
    return f"v=DMARC1; p=none; sp=none; rua=mailto:postmaster@{domain}"
