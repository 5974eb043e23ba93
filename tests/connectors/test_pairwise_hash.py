"""How the Shibboleth identity provider computes and writes pairwise identifiers: vectors, and what every text must survive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._pairwise import Encoding, PairwiseHash, decode, decode_folded, encode
from tests.connectors.surroundings import SERVICE

_SALT = b"example-salt-for-orcid-aa-tests!"
_PALVELU = "https://palvelu.example.fi/shibboleth"
_TEPPO = "teppo@yliopisto.fi"
_TEPPO_ID = "vGwQVzMkvQbYLciMvs9cR0E0IL4="
_TEPPO_BASE32 = "XRWBAVZTES6QNWBNZCGL5T24I5ATIIF6"
_TEPPO_SHA256 = "8qY/RrSrJg5PNU7yg/6urU3LZtAVI3RMeOaCw+6/5Yc="
_UID_ID = "MbipNKZyaJFx7LGnJGgdsN2cdLE="

_ROWS = [
    (SERVICE, "teppo", _UID_ID, "GG4KSNFGOJUJC4PMWGTSI2A5WDOZY5FR", "tkVmGGiYsVNVT8H6iPU1D7ifZOeJLl42Ghp72SbSr8E="),
    (SERVICE, _TEPPO, _TEPPO_ID, _TEPPO_BASE32, _TEPPO_SHA256),
    (
        SERVICE,
        "äijä@yliopisto.fi",
        "fIGwrKSAy4m1k9NHyeWzCnKDyPQ=",
        "PSA3BLFEQDFYTNMT2ND4TZNTBJZIHSHU",
        "j/TYukjbbehToC7PiRVMpkZ9MUhJy+QHEvST3Mt+8vM=",
    ),
    (_PALVELU, "teppo", "EP6yFBvhUhmXow0lkQ4iog9TZ9Q=", "CD7LEFA34FJBTF5DBUSZCDRCUIHVGZ6U", "ur64Ollrle79Z0NUJLHi5JSMyQiDPyFIgxvfRy5Foe4="),
    (_PALVELU, _TEPPO, "k7uuKA47yuufN5QAgfX1MplShJk=", "SO524KAOHPFOXHZXSQAID5PVGKMVFBEZ", "YhW9w6bPdvEHPlWA45/ql41u73qMnhgW11Drgt0ChDQ="),
    (
        _PALVELU,
        "äijä@yliopisto.fi",
        "PRicdpIx2f4BNwna3WBXj9TGQ4E=",
        "HUMJY5USGHM74AJXBHNN2YCXR7KMMQ4B",
        "Kl9REsO3s2fZ7Rq307mDaxtpfDMncivTpkFzvQeZwBQ=",
    ),
]
_UPSTREAM = [
    (bytes(range(16)), "base64", "Vl6z6K70iLc4AuBoNeb59Dj1rGw="),
    (bytes(range(16)), "base32", "KZPLH2FO6SELOOAC4BUDLZXZ6Q4PLLDM"),
    (b"thisisaspecialsalt", "base64", "kLyH1uEvYigEvg1ZLh/QXeW1VAs="),
]


@pytest.mark.parametrize(("salt", "encoding", "expected"), _UPSTREAM)
def test_the_vectors_of_the_identity_provider_hold(salt: bytes, encoding: Encoding, expected: str) -> None:
    """What the identity provider's own tests compute is computed here too."""
    digest_of = PairwiseHash(salt, "SHA-1", "whole").towards("https://sp.example.org/sp")

    assert expected == encode(digest_of("at1-Data"), encoding)


@pytest.mark.parametrize(("recipient", "value", "sha1", "sha1_base32", "sha256"), _ROWS)
def test_computed_ids_of_other_recipients_values_and_algorithms_hold(
    recipient: str, value: str, sha1: str, sha1_base32: str, sha256: str
) -> None:
    """Recipient, value, algorithm and encoding all enter as the identity provider has them, text as UTF-8."""
    by_sha1 = PairwiseHash(_SALT, "SHA-1", "whole").towards(recipient)(value)
    by_sha256 = PairwiseHash(_SALT, "SHA-256", "whole").towards(recipient)(value)

    assert (sha1, sha1_base32, sha256) == (encode(by_sha1, "base64"), encode(by_sha1, "base32"), encode(by_sha256, "base64"))


def test_sha256_in_base32_is_padded() -> None:
    """What does not fill a group of eight is padded."""
    digest_of = PairwiseHash(_SALT, "SHA-256", "whole").towards(SERVICE)

    assert encode(digest_of("teppo"), "base32") == "WZCWMGDITCYVGVKPYH5IR5JVB64J6ZHHREXF4NQ2DJ55SJWSV7AQ===="


@given(st.binary(min_size=1, max_size=64))
def test_what_is_encoded_is_decoded_and_no_other_spelling_is(digest: bytes) -> None:
    """Every digest has one persistent form; base32 of a pairwise-id may be in either case, with its padding or without."""
    base64, base32 = encode(digest, "base64"), encode(digest, "base32")

    assert digest == decode(base64, "base64") == decode(base32, "base32")
    assert decode(base32.lower(), "base32") in (None, digest if base32 == base32.lower() else None)
    assert decode(base64 + "=", "base64") is None
    assert digest == decode_folded(base32) == decode_folded(base32.lower()) == decode_folded(base32.rstrip("="))
    assert decode_folded(base32 + "=") is None


@given(st.text(max_size=80))
def test_no_text_breaks_decoding(text: str) -> None:
    """Whatever is asked is a digest in canonical form or None."""
    for encoding in ("base64", "base32"):
        digest = decode(text, encoding)

        assert digest is None or encode(digest, encoding) == text
    folded = decode_folded(text)

    assert folded is None or encode(folded, "base32").rstrip("=") == text.upper().rstrip("=")
