"""A Django site with django-oauth-toolkit and nothing else, as its tutorial sets it up.

  provider_site.py migrate
  provider_site.py runserver --noreload PORT
  provider_site.py people PASSWORD NAME...               makes users
  provider_site.py client ID SECRET REDIRECT_URI         registers a client
  provider_site.py secret ID SECRET                      gives it another secret
  provider_site.py end_grant NAME                        ends what the user granted

SITE_FOLDER holds its database, SITE_ORIGIN is where it is reached.
"""

import os
import sys
from pathlib import Path

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path

folder = Path(os.environ["SITE_FOLDER"])


def signing_key():
    file = folder / "oidc.pem"
    if not file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return file.read_text()


settings.configure(
    DEBUG=True,
    SECRET_KEY="of-a-site-that-lives-for-minutes",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGIN_URL="/admin/login/",
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "db.sqlite3",
            # A transaction that reads first and writes later does not wait for its turn otherwise: commands of the test write beside the server.
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": signing_key(),
        "SCOPES": {"openid": "who you are", "read": "what you have"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": 30,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
    },
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from oauth2_provider import urls as oauth2_urls  # noqa: E402
from oauth2_provider.models import Application, RefreshToken  # noqa: E402

urlpatterns = [
    path("", lambda request: HttpResponse("up")),
    path("admin/", admin.site.urls),
    path("o/", include(oauth2_urls)),
]


def people(password, *names):
    # The login page at hand is the admin's, and lets staff in.
    for name in names:
        User.objects.create_user(name, password=password, is_staff=True)


def client(client_id, secret, redirect_uri):
    Application.objects.create(
        name="Nexus",
        client_id=client_id,
        client_secret=secret,
        redirect_uris=redirect_uri,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        algorithm=Application.RS256_ALGORITHM,
    )


def secret(client_id, new_secret):
    application = Application.objects.get(client_id=client_id)
    application.client_secret = new_secret
    application.save()


def end_grant(name):
    tokens = RefreshToken.objects.filter(user__username=name, revoked__isnull=True)
    if not tokens:
        raise SystemExit(f"{name} granted nothing")
    for token in tokens:
        token.revoke()


commands = {"people": people, "client": client, "secret": secret, "end_grant": end_grant}

if __name__ == "__main__":
    if sys.argv[1] in commands:
        commands[sys.argv[1]](*sys.argv[2:])
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
