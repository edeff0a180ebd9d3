# Microsoft's Python clients, azure-keyvault-secrets and azure-identity, on the fakes: every line of what they find is compared by the test that starts this.
# Told where the fakes are by its first argument, as JSON; answers with one JSON object. Trusts the authority named in REQUESTS_CA_BUNDLE.
import json
import os
import sys
import time
from datetime import datetime, timezone

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.identity import CertificateCredential, ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

given = json.loads(sys.argv[1])
signing_in = {"authority": given["url"], "disable_instance_discovery": True, "retry_total": 0}
found = {}


def client(credential, url=given["url"]):
    return SecretClient(url, credential, verify_challenge_resource=False, retry_total=0)


def refused(act):
    try:
        act()
        return "allowed"
    except HttpResponseError as error:
        said = getattr(error, "error", None)
        inner = getattr(said, "innererror", None) or {}
        # What Entra ID said to a sign-in stands in the text, by its number.
        text = str(error)
        if "AADSTS" in text:
            return text[text.find("AADSTS"):].split(":")[0]
        return type(error).__name__ if error.status_code is None else [error.status_code, inner.get("code") or getattr(said, "code", None)]


class Holding:
    def __init__(self, token):
        self.token = token

    def get_token(self, *scopes, **kwargs):
        return AccessToken(self.token, int(time.time()) + 3600)


secret = ClientSecretCredential(given["tenant"], given["client"], given["secret"], **signing_in)
vault = client(secret)

made = vault.set_secret("Some-Name", "first", tags={"Owner": "AI Platform team"}, content_type="text/plain", expires_on=datetime(2030, 1, 1, tzinfo=timezone.utc))
vault.set_secret("some-name", "second")
old = vault.get_secret("SOME-NAME", made.properties.version)
found["versions"] = [vault.get_secret("some-name").value, old.value, old.properties.tags, old.properties.content_type, old.properties.expires_on.isoformat(), len(list(vault.list_properties_of_secret_versions("some-name")))]
updated = vault.update_secret_properties("some-name", made.properties.version, tags={"Owner": "other"}, enabled=False)
found["updated"] = [updated.tags, updated.enabled, refused(lambda: vault.get_secret("some-name", made.properties.version))]
for index in range(30):
    vault.set_secret(f"item-{index}", "v")
found["listed"] = len({each.name for each in vault.list_properties_of_secrets()})

vault.begin_delete_secret("item-0")
found["deleted"] = [refused(lambda: vault.get_secret("item-0")), refused(lambda: vault.set_secret("item-0", "x")), vault.get_deleted_secret("item-0").scheduled_purge_date is not None]
vault.begin_recover_deleted_secret("item-0")
found["recovered"] = vault.get_secret("item-0").value
vault.begin_delete_secret("item-0")
vault.purge_deleted_secret("item-0")
vault.set_secret("item-0", "anew")
found["purged"] = len(list(vault.list_properties_of_secret_versions("item-0")))

throttled = client(ClientSecretCredential(given["tenant"], given["client"], given["secret"], **{**signing_in, "authority": given["throttled"]}), given["throttled"])
found["refused"] = {
    "absent": refused(lambda: vault.get_secret("nowhere")),
    "name": refused(lambda: vault.get_secret("A_B")),
    "tags": refused(lambda: vault.set_secret("a", "v", tags={f"t{index}": "" for index in range(16)})),
    "large": refused(lambda: vault.set_secret("a", "x" * 25601)),
    "empty": refused(lambda: vault.set_secret("a", "")),
    "throttled": [refused(lambda: throttled.set_secret("a", str(index))) for index in range(3)][-1],
}
found["tokens"] = {name: refused(lambda: client(Holding(token)).get_secret("item-1")) for name, token in given["tokens"].items()}

sign_ins = {
    "wrong secret": lambda: ClientSecretCredential(given["tenant"], given["client"], "wrong", **signing_in),
    "expired secret": lambda: ClientSecretCredential(given["tenant"], given["client"], "an-expired-secret", **signing_in),
    "unknown application": lambda: ClientSecretCredential(given["tenant"], "00000000-0000-4000-8000-000000000000", given["secret"], **signing_in),
    "certificate": lambda: CertificateCredential(given["tenant"], given["client"], certificate_data=given["certificate"].encode(), **signing_in),
    "foreign certificate": lambda: CertificateCredential(given["tenant"], given["client"], certificate_data=given["stranger"].encode(), **signing_in),
    "federated": lambda: ClientAssertionCredential(given["tenant"], given["client"], lambda: given["assertion"], **signing_in),
    "foreign federated": lambda: ClientAssertionCredential(given["tenant"], given["client"], lambda: given["foreignAssertion"], **signing_in),
}
found["signIns"] = {name: refused(lambda: client(make()).get_secret("item-1")) for name, make in sign_ins.items()}

os.environ["IDENTITY_ENDPOINT"] = given["plain"] + "/msi/token"
os.environ["IDENTITY_HEADER"] = "identity-header"
found["managed"] = refused(lambda: client(ManagedIdentityCredential()).get_secret("item-1"))
os.environ["IDENTITY_HEADER"] = "another"
found["strangeManaged"] = refused(lambda: client(ManagedIdentityCredential(retry_total=0)).get_secret("item-1"))

ours = vault.get_secret(given["ours"])
found["ours"] = [ours.value, ours.properties.tags.get("latchkey-name"), ours.properties.tags.get("Owner"), ours.properties.expires_on.isoformat()]
print(json.dumps(found))
