"""What is installed and what it needs; the one place where dependencies are declared (`make lock` pins them)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def read_version() -> str:
    """Return the version that stands in attribute_authority/__init__.py."""
    source = (HERE / "attribute_authority/__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "([^"]+)"', source, re.MULTILINE)[0]


RUNTIME = [
    "Twisted[tls]>=26.4",
    # These two wheels must carry the same libxml2: they are one pair, and change together or not at all.
    "lxml==6.1.3",
    "xmlsec==1.3.17",
    "SQLAlchemy>=2.1,<2.2",
    "psycopg[binary]>=3.2",
    "alembic>=1.18",
    "pydantic>=2.12,<3",
    "click>=8.3",
    "structlog>=25",
    "cryptography>=46",
    "requests>=2.32",
    "ldap3>=2.9.1",
    "PyMySQL>=1.1",
    "prometheus-client>=0.22",
    "pysaml2>=7.5.5",
    "Authlib>=1.6",
    "Werkzeug>=3.1",
    "Jinja2>=3.1",
    "Babel>=2.17",
    # Time zones where the system has none, as in slim containers.
    "tzdata>=2025.2",
]

# Installing the checkout itself without a network needs its build back end beside it.
BUILD = ["setuptools>=80"]

DEVELOPMENT = [
    "pytest>=9",
    "pytest-xdist>=3.8",
    "hypothesis>=6.140",
    "ruff>=0.14",
    "mypy>=1.19",
    "mypy-zope>=1.0.14",
    "lxml-stubs>=0.5",
    "types-requests",
    "types-ldap3",
    "types-PyMySQL",
    "PyYAML>=6",
    "types-PyYAML",
    "import-linter>=2.6",
    "codespell>=2.4",
    "packaging>=25",
    "uv>=0.9",
    "playwright>=1.55",
    "axe-playwright-python>=0.1.7",
    "schemathesis>=4",
    "aiosmtpd>=1.4.6",
    "scim2-server>=0.8",
]

setup(
    name="orcid-attribute-authority",
    version=read_version(),
    description="SAML 2.0 attribute authority that answers service providers with a researcher's ORCID iD",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: System :: Systems Administration :: Authentication/Directory",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["attribute_authority", "attribute_authority.*", "connectors", "connectors.*"]),
    package_data={
        "attribute_authority": [
            "py.typed",
            "commands/*.template",
            "storage/migrations/*.mako",
            "storage/migrations/*.ini",
            "web/companion/templates/*",
            "web/companion/static/*",
            "web/companion/locale/*/*/*.po",
            "demo/templates/*",
            "demo/static/*",
        ],
        "connectors": ["py.typed"],
    },
    install_requires=RUNTIME,
    extras_require={"build": BUILD, "development": DEVELOPMENT},
    entry_points={"console_scripts": ["attribute-authority = attribute_authority.cli:main"]},
)
