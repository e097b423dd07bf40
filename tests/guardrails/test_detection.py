"""What is a value and what only looks like one, in several languages; and that hostile texts take no longer."""

from __future__ import annotations

import json

import pytest

from aura.guardrails import Kind
from aura.guardrails.detection import find

# ruff: noqa: E501  (tables)

# A text, and the value in it.
VALUES: dict[str, dict[str, str]] = {
    "email": {
        "mail jo@example.com now": "jo@example.com",
        "<a.b+c@sub.example.co.uk>.": "a.b+c@sub.example.co.uk",
        "请联系zhang@example.cn谢谢": "zhang@example.cn",
        "müller@bücher.example und": "müller@bücher.example",
        "email=o'brien@ex.org&x": "o'brien@ex.org",
        "'x@y.io'": "x@y.io",
        "mailto:info@firma.de?subject": "info@firma.de",
        "иван@почта.рф,": "иван@почта.рф",
        '"a\\nfoo@x.com"': "foo@x.com",
        "Write to me@x.com. Then": "me@x.com",
        "a@b.com:Hello": "a@b.com",
        "root@mail.corp.local:22": "root@mail.corp.local",
    },
    "phone": {
        "+49 30 1234567": "+49 30 1234567",
        "call +1 (415) 555-2671 please": "+1 (415) 555-2671",
        "+14155552671": "+14155552671",
        "(212) 555-1234": "(212) 555-1234",
        "555-123-4567 is mine": "555-123-4567",
        "212.555.1234": "212.555.1234",
        "1-800-555-0199": "1-800-555-0199",
        "Tel. 030 1234567": "030 1234567",
        "0171/1234567": "0171/1234567",
        "06 12 34 56 78": "06 12 34 56 78",
        "06.12.34.56.78": "06.12.34.56.78",
        "téléphone : 0612345678": "0612345678",
        "07911 123456": "07911 123456",
        "020 7946 0958": "020 7946 0958",
        "03-1234-5678": "03-1234-5678",
        "090-1234-5678": "090-1234-5678",
        "138 1234 5678": "138 1234 5678",
        "手机：13812345678": "13812345678",
        "(11) 91234-5678": "(11) 91234-5678",
        "8 (495) 123-45-67": "8 (495) 123-45-67",
        "8-800-555-35-35": "8-800-555-35-35",
        "телефон 89123456789": "89123456789",
        "+7 912 345-67-89": "+7 912 345-67-89",
        "0412 345 678": "0412 345 678",
        "(02) 9876 5432": "(02) 9876 5432",
        "phone: 555-1234": "555-1234",
        "+33 6 12 34 56 78": "+33 6 12 34 56 78",
        "0049 30 1234567": "0049 30 1234567",
        "00493012345678": "00493012345678",
        "+49 (0)30 1234567": "+49 (0)30 1234567",
        "móvil 612 345 678": "612 345 678",
        "+34 612 345 678": "+34 612 345 678",
        "+86 138 1234 5678": "+86 138 1234 5678",
        "call me at 9876543210": "9876543210",
        "+91 98765 43210": "+91 98765 43210",
        "079 123 45 67": "079 123 45 67",
        "+44 20 7946 0958, ext 5": "+44 20 7946 0958",
        "my number is 415-555-2671.": "415-555-2671",
        "tel:+4930123456": "+4930123456",
        '"phone": "+4930123456"': "+4930123456",
        "phone=+4930123456": "+4930123456",
        "Handynummer: 0171 1234567": "0171 1234567",
        "010-1234-5678": "010-1234-5678",
        "+972-50-123-4567": "+972-50-123-4567",
        "123-456-7890": "123-456-7890",
        "+1 415 555 2671 2024-01-05": "+1 415 555 2671",
    },
    "card": {
        "4111 1111 1111 1111": "4111 1111 1111 1111",
        "4111111111111111": "4111111111111111",
        "5500-0000-0000-0004": "5500-0000-0000-0004",
        "3782 822463 10005": "3782 822463 10005",
        "378282246310005,6011111111111117": "378282246310005",
        "card 4111 1111 1111 1111 12/26 123": "4111 1111 1111 1111",
        "2223003122003222": "2223003122003222",
        "3530111333300000": "3530111333300000",
        "30569309025904": "30569309025904",
        "6304000000000000": "6304000000000000",
        "cc:4012888888881881;": "4012888888881881",
        "4111.1111.1111.1111": "4111.1111.1111.1111",
    },
    "iban": {
        "DE89 3704 0044 0532 0130 00": "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000": "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19 BIC": "GB29 NWBK 6016 1331 9268 19",
        "FR14 2004 1010 0505 0001 3M02 606": "FR14 2004 1010 0505 0001 3M02 606",
        "NO9386011117947": "NO9386011117947",
        "iban: gb29nwbk60161331926819.": "gb29nwbk60161331926819",
        "MT84MALT011000012345MTLCAST001S": "MT84MALT011000012345MTLCAST001S",
        "NL91ABNA0417164300": "NL91ABNA0417164300",
        "CH93 0076 2011 6238 5295 7": "CH93 0076 2011 6238 5295 7",
    },
    "ip": {
        "192.168.1.10": "192.168.1.10",
        "from 203.0.113.7:8080": "203.0.113.7",
        "10.0.0.0/8": "10.0.0.0",
        "ssh root@10.20.30.40": "10.20.30.40",
        "my IP is 1.2.3.4": "1.2.3.4",
        "2001:db8::8a2e:370:7334": "2001:db8::8a2e:370:7334",
        "[2001:db8::1]:443": "2001:db8::1",
        "fe80::1ff:fe23:4567:890a%eth0": "fe80::1ff:fe23:4567:890a",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "http://8.8.8.8/": "8.8.8.8",
        "ip=172.16.254.1,": "172.16.254.1",
        "Server 203.0.113.195.": "203.0.113.195",
        "::ffff:192.0.2.128": "::ffff:192.0.2.128",
        "2001:db8::1.": "2001:db8::1",
    },
    "key": {
        "sk-abcdefghijklmnopqrstuvwxyz123456": "sk-abcdefghijklmnopqrstuvwxyz123456",
        "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12": "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12",
        "AKIAIOSFODNN7EXAMPLE": "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx": "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "Authorization: Bearer abcDEF1234567890ghiJKL": "abcDEF1234567890ghiJKL",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----",
        "password = 'S3cr3t!Pass9'": "S3cr3t!Pass9",
        "API_KEY=9f8e7d6c5b4a39281706": "9f8e7d6c5b4a39281706",
        '"client_secret": "aB3dE5fG7hI9jK1l"': "aB3dE5fG7hI9jK1l",
        "postgres://app:hunter2pw@db:5432": "hunter2pw",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "token: ghx9f8e7d6c5b4": "ghx9f8e7d6c5b4",
        "glpat-Ab12Cd34Ef56Gh78Ij90": "glpat-Ab12Cd34Ef56Gh78Ij90",
        "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----": "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----",
    },
}
LOOK_ALIKES = [
    "Boston, MA 02110-1301, USA",
    "Clause 252.227-7013",
    '"ratelimit-tokens-reset": "2026-05-28T22:15:58Z"',
    '"token_expires": "2026-05-28T22:15:58Z"',
    "Order 123-4567890-1234567",
    "ISBN 978-0-306-40615-7",
    "ISBN 0-306-40615-2",
    "9780306406157",
    "2024-01-15T10:30:00Z",
    "2024-01-15 10:30:00.123456",
    "01.02.2024",
    "01/02/2024 10:30",
    "15.03.2024 1200",
    "v1.2.3.4",
    "version 10.2.0.1",
    "Version: 1.2.3.4",
    "Chrome/120.0.6099.109 Safari/537.36",
    "package==1.2.3.4",
    "libfoo-1.2.3.4.tar.gz",
    "1.2.3.4 Introduction",
    "1.3.6.1.4.1.311",
    "550e8400-e29b-41d4-a716-446655440000",
    "11111111-1111-1111-1111-111111111111",
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "1700000000",
    "1700000000000",
    "1700000000000000",
    "$1,234,567.89",
    "1.234.567,89 €",
    "€ 12 345 678",
    "x = 4111111111111112",
    "1234 5678 9012 3456",
    "3.14159265358979",
    "0.4111111111111111",
    "std::vector<int>",
    "abc::def",
    "a::b::c",
    "10:30:00",
    "00:1A:2B:3C:4D:5E",
    "DE89 3704 0044 0532 0130 01",
    "icon@2x.png",
    "react@18.2.0",
    "getty@tty1.service",
    "git@github.com:org/repo.git",
    "@app.route('/x')",
    "@types/node",
    "user@host",
    "Order number: 123-456-7890",
    "Bestellnummer 0123 456789",
    "Rechnung Nr. 030 1234567",
    "invoice 0612345678",
    "100 000 000",
    "+100 000 000 EUR",
    "+48.8583701, +2.2944813",
    "-1234567890",
    "1e10",
    "ticket 0412 345 678",
    "0x7fffffffffff",
    "1234567890",
    "0123456789012",
    "password = os.environ['PASSWORD']",
    "password: str",
    "token = get_token(user)",
    "api_key=YOUR_API_KEY_HERE_123",
    "max_tokens: 4096",
    "secret = config.secret_value1",
    "sk-learn-pipeline-tutorial",
    "Bearer of good tidings to everyone",
    "key: value",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "127.0.0.1:8080",
    "0.0.0.0",
    "255.255.255.0",
    "999.999.999.999",
    "EAN 4006381333931",
    "4006381333931",
    "IMEI 490154203237518",
    "Montag, 24. November 2026, 10 Uhr",
    "Telegram id 1234567890",
    "hotel 1234567",
    "In 2020 2021 2022 2023",
    "12 345 678 people and 9 876 543",
    "2001: A Space Odyssey",
    "f(1234567890)",
    "192.168.1",
    "lat 52.5200066, lon 13.404954",
    "£1,000,000",
    "tokens_used: 123456789",
    "#0123456789",
    "SHA1 AA:BB:CC:DD:EE:FF:00:11:22:33",
    "Section 1.2.3.4",
    "2024.01.15.1",
    "Ticket ABC-1234-5678",
    "phone model 12",
    "token: string",
    "refresh_token: Optional[str]",
    "DE 123456789",
    "5e-10",
    "call 2024-01-15",
    "(2019) 1234 5678",
    "const token = 'placeholder';",
    "2001:db8",
    "05-2024",
    "05 2024 0001",
    "12:34:56:78:9a:bc:de:f0",
    "const secretKey = process.env.SECRET_KEY1;",
    "Password123? is asked",
    "pages 1234-5678",
    "12.05.2024 13.05.2024",
    "https://example.com/a/1234567890",
    "user: alice@localhost",
    "00:00:00",
    "8.8.8.8",
]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(kind, text, value) for kind, cases in VALUES.items() for text, value in cases.items()],
)
def test_a_value_is_found_whole(kind, text, value):
    found = [(kind, text[start:end]) for start, end, kind in find(text)]

    assert (Kind(kind), value) in found
    assert len(found) == 1 or "," in text


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_what_only_looks_like_a_value_is_left_alone(text):
    assert find(text) == []


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_found_in_json_and_in_programs(kind):
    """Line ends are written as \\n there, so that a letter stands before the value."""
    for text, value in VALUES[kind].items():
        if text == value and "\n" not in value and "\\" not in value:
            inside = json.dumps({"a": f"first line\n{value}\tlast"}, ensure_ascii=False)

            assert [inside[start:end] for start, end, _ in find(inside)] == [value]


def test_values_that_overlap_are_covered_together():
    text = "postgres://app:hunter2pw@db.example.com/x Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVm"
    spans = find(text)

    assert [text[start:end] for start, end, _ in spans] == [
        "hunter2pw@db.example.com",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVm",
    ]


@pytest.mark.parametrize("number", ["4111111111111112", "4111 1111 1111 1112", "5105105105105101"])
def test_a_card_with_a_wrong_digit_is_none(number):
    assert find(number) == []


@pytest.mark.parametrize("at", range(4, 22))
def test_an_iban_with_two_signs_exchanged_is_none(at):
    right = "DE89370400440532013000"
    wrong = right[: at - 1] + right[at] + right[at - 1] + right[at + 1 :]

    assert (wrong == right) == bool([span for span in find(wrong) if span[2] is Kind.IBAN])


# Each would take hours if a pattern went back over what it has read.
HOSTILE = [
    "a", "9", "9 ", "01 ", "@", "a@", "a.", "a@a.", "a@" + "b." * 40, ":", "a:", "f:1:", "1.", "+", "+1", "+1 (", "(0", "0-",
    "(12) ", "00 1 ", "4111111111111112 ", "4111 1111 1111 1112 ", "DE89", "DE89370400440532013001 ", "DE89 ", "-", "--",
    "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "sk-", "sk-a_", "ghp_", "eyJ.", "eyJaaaaaaaaaa.aaaaaaaaa.", "token=",
    "token=abcdefgh ", "token ", "://", "://a:b", "://a:bbb@", "Bearer ", "xox", "AKIA", "\\", '\\"', "<", "<EMAIL_", "&lt;",
    "tel ", "tel 12345 67, ", "phone ", "::1 ", "1.1.1.1", "\u00e9", "\u4e2d", " ", "\n", "\x00", "password", "key:",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_comes_to_its_end(piece):
    """Of 256 KiB: with a pattern that is not linear, the test never ends."""
    text = (piece * (256 * 1024 // len(piece) + 1))[: 256 * 1024]
    spans = find(text)

    assert all(spans[at][1] <= spans[at + 1][0] for at in range(len(spans) - 1))
