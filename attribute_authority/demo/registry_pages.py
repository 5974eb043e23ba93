"""The pages of the simulated ORCID registry: plain HTML that works without scripts."""

from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape
from werkzeug.wrappers import Response

STYLE: Final = """
body { margin: 0; background: #f2f4f5; color: #1f2a30; font: 1.0625rem/1.5 system-ui, sans-serif; }
header { background: #fff; border-bottom: 4px solid #a6ce39; padding: .75rem 1rem; font-weight: 600; }
header p, footer p { margin: 0 auto; max-width: 36rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
main { box-sizing: border-box; margin: 1.5rem auto; max-width: 36rem; padding: 0 1rem; }
footer { border-top: 1px solid #c4cbce; padding: 1rem; }
fieldset { border: 1px solid #6b7a82; margin: 0 0 1rem; }
label { display: block; padding: .35rem 0; }
button { background: #31688e; border: 2px solid #31688e; color: #fff; cursor: pointer; font: inherit; margin: 0 .5rem .5rem 0; }
button { min-height: 2.75rem; padding: .4rem 1rem; }
button.plain { background: #fff; color: #1f4f70; }
a { color: #1f4f70; }
.fault { border-left: 4px solid #b00020; padding-left: .75rem; }
:focus-visible { outline: 3px solid #1f2a30; outline-offset: 2px; }
"""

_FRAME: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{% block title %}{% endblock %} - simulator of ORCID</title>
<link rel="stylesheet" href="/registry.css">
<link rel="icon" href="data:,">
</head>
<body>
<header><p>A simulator of ORCID for demonstrations, not ORCID</p></header>
<main>
<h1>{{ self.title() }}</h1>
{% block content %}{% endblock %}
</main>
<footer><p>Nobody here is real, and nothing is sent to orcid.org.</p></footer>
</body>
</html>
"""

_WHO: Final = """
{% if fault %}<p class="fault" role="alert">{{ fault }}</p>{% endif %}
{% if signed_in %}
<p>You are signed in as <strong id="signed-in">{{ signed_in.given_name }} {{ signed_in.family_name }}</strong>
({{ signed_in.orcid }}). <a id="sign-out" href="/signout">Not you? Sign out</a></p>
{% else %}
<fieldset>
<legend>Sign in to the simulator as</legend>
{% for researcher in researchers %}
<label for="researcher-{{ researcher.orcid }}"><input type="radio" name="researcher" id="researcher-{{ researcher.orcid }}"
value="{{ researcher.orcid }}" required> {{ researcher.given_name }} {{ researcher.family_name }} ({{ researcher.orcid }})</label>
{% endfor %}
</fieldset>
{% endif %}
"""

_AUTHORIZE: Final = """{% extends "frame" %}
{% block title %}Authorize access to your ORCID record{% endblock %}
{% block content %}
<p><strong id="client">{{ client }}</strong> has asked for the following access to your ORCID record:</p>
<ul id="scopes">{% for scope, meaning in scopes %}<li>{{ meaning }} (<code>{{ scope }}</code>)</li>{% endfor %}</ul>
<form method="post" action="{{ action }}">
{% include "who" %}
<button type="submit" name="decision" value="authorize" id="authorize">Authorize access</button>
<button type="submit" name="decision" value="deny" id="deny" class="plain" formnovalidate>Deny access</button>
</form>
{% endblock %}
"""

_INSTITUTIONAL: Final = """{% extends "frame" %}
{% block title %}Connect your institution{% endblock %}
{% block content %}
<p>You have signed in to ORCID by way of your institution. Its service <strong id="client">{{ client }}</strong>
asks for permission to get your ORCID iD.</p>
<form method="post" action="{{ action }}">
{% include "who" %}
<button type="submit" id="connect">Connect</button>
</form>
{% endblock %}
"""

_SIGNED_OUT: Final = """{% extends "frame" %}
{% block title %}You are signed out{% endblock %}
{% block content %}<p>You may close this page, or go back and sign in as somebody else.</p>{% endblock %}
"""

_REFUSED: Final = """{% extends "frame" %}
{% block title %}This request cannot be served{% endblock %}
{% block content %}
<p id="error"><code>{{ error }}</code>: {{ description }}</p>
<p>The service that sent you here made a mistake. You are not sent back to it.</p>
{% endblock %}
"""

_HOME: Final = """{% extends "frame" %}
{% block title %}Records of this registry{% endblock %}
{% block content %}
<ul>{% for researcher in researchers %}
<li>{{ researcher.given_name }} {{ researcher.family_name }} ({{ researcher.orcid }})</li>
{% endfor %}</ul>
{% if connecting %}
<h2>Institutional sign-in</h2>
<ul>{% for client_id, name in connecting %}
<li><a href="/institutional-signin?client_id={{ client_id|urlencode }}">Sign in by way of the institution of {{ name }}</a></li>
{% endfor %}</ul>
{% endif %}
{% endblock %}
"""

MEANINGS: Final = {
    "openid": "Get your ORCID iD",
    "/authenticate": "Get your ORCID iD",
    "/read-limited": "Read your information with visibility set to Trusted Organizations",
    "/activities/update": "Add or update your research activities",
    "/person/update": "Add or update other information about you",
    "/read-public": "Read what is public on your record",
}

_TEMPLATES: Final = Environment(
    loader=DictLoader(
        {
            "frame": _FRAME,
            "who": _WHO,
            "authorize": _AUTHORIZE,
            "institutional": _INSTITUTIONAL,
            "signed-out": _SIGNED_OUT,
            "refused": _REFUSED,
            "home": _HOME,
        }
    ),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
)


def page(name: str, status: int = 200, **values: Any) -> Response:
    """Return a page as an answer that nobody keeps."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
    return Response(_TEMPLATES.get_template(name).render(values), status, headers, mimetype="text/html")
