# Reads resources from a JSON file and prints what Microsoft's own management libraries would not know of them: a property, a type, a value of an
# enumeration, a version of the API. Both kinds of models are read: those with rest fields and the older ones with attribute maps.
import enum
import importlib
import inspect
import json
import re
import sys
import typing

MODELS = {
    'Microsoft.KeyVault/vaults': ('keyvault', 'VaultCreateOrUpdateParameters'),
    'Microsoft.Storage/storageAccounts': ('storage', 'StorageAccountCreateParameters'),
    'Microsoft.Storage/storageAccounts/blobServices/containers': ('storage', 'BlobContainer'),
    'Microsoft.Storage/storageAccounts/queueServices/queues': ('storage', 'StorageQueue'),
    'Microsoft.Web/serverfarms': ('web', 'AppServicePlan'),
    'Microsoft.Web/sites': ('web', 'Site'),
    'Microsoft.Web/sites/config': ('web', 'SiteAuthSettingsV2'),
    'Microsoft.Web/sites/basicPublishingCredentialsPolicies': ('web', 'CsmPublishingCredentialsPoliciesEntity'),
    'Microsoft.EventGrid/systemTopics': ('eventgrid', 'SystemTopic'),
    'Microsoft.EventGrid/systemTopics/eventSubscriptions': ('eventgrid', 'EventSubscription'),
    'Microsoft.ManagedIdentity/userAssignedIdentities': ('msi.v2024_11_30', 'Identity'),
    'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials': ('msi.v2024_11_30', 'FederatedIdentityCredential'),
    'Microsoft.Authorization/roleAssignments': ('authorization.v2022_04_01', 'RoleAssignmentCreateParameters'),
    'Microsoft.OperationalInsights/workspaces': ('loganalytics', 'Workspace'),
    'Microsoft.Insights/components': ('applicationinsights.v2020_02_02', 'ApplicationInsightsComponent'),
    'Microsoft.Insights/diagnosticSettings': ('monitor.v2021_05_01_preview', 'DiagnosticSettingsResource'),
    'Microsoft.Insights/actionGroups': ('monitor.v2023_01_01', 'ActionGroupResource'),
    'Microsoft.Insights/metricAlerts': ('monitor.v2018_03_01', 'MetricAlertResource'),
    'Microsoft.Insights/scheduledQueryRules': ('monitor.v2022_08_01_preview', 'ScheduledQueryRuleResource'),
    'Microsoft.Network/virtualNetworks': ('network', 'VirtualNetwork'),
    'Microsoft.Network/privateEndpoints': ('network', 'PrivateEndpoint'),
    'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': ('network', 'PrivateDnsZoneGroup'),
    'Microsoft.Network/privateDnsZones': ('privatedns', 'PrivateZone'),
    'Microsoft.Network/privateDnsZones/virtualNetworkLinks': ('privatedns', 'VirtualNetworkLink'),
}

PLAIN = {'str': str, 'int': int, 'bool': bool, 'float': float, 'object': object, 'Any': object, 'datetime': str, 'iso-8601': str, 'duration': str}


def typed(models, text):
    """What a type's text means: a model, an enumeration, a plain type, or ('list' | 'dict', what is in it)."""
    text = re.sub(r'"|\b_models\.|\b_types\.|\bdatetime\.', '', text).strip()
    for outer in ('Optional', 'Union'):
        if text.startswith(outer + '['):
            inner = text[len(outer) + 1 : -1]
            return typed(models, inner if outer == 'Optional' else inner.rsplit(',', 1)[-1])
    for outer, kind in (('list[', 'list'), ('List[', 'list'), ('dict[str,', 'dict'), ('Dict[str,', 'dict'), ('[', 'list'), ('{', 'dict')):
        if text.startswith(outer):
            return (kind, typed(models, text[len(outer) : -1]))
    return PLAIN.get(text) or getattr(models, text, None) or object


def noted(models, note):
    """The same of an annotation, and whether it may be left out."""
    if isinstance(note, typing.ForwardRef):
        note = note.__forward_arg__
    if isinstance(note, str):
        return typed(models, note), note.startswith('Optional[')
    outer, inner = typing.get_origin(note), typing.get_args(note)
    if outer is typing.Union:
        # Of text or an enumeration it is the enumeration.
        said = [each for each in inner if each is not type(None)]
        return noted(models, said[-1])[0], len(said) < len(inner)
    if outer in (list, dict):
        return (outer.__name__, noted(models, inner[-1])[0]), False
    return (note if inspect.isclass(note) and note.__module__ != 'datetime' else object), False


def fields(models, cls):
    """Name in JSON -> (type, required, read-only) or a dict of the same for what the library flattens."""
    found = {}
    # The newer kind knows its fields once there is one of it.
    if any(base.__module__.endswith('model_base') for base in cls.__mro__):
        cls.__new__(cls)
    for attribute, field in getattr(cls, '_attr_to_rest_field', {}).items():
        note = next((base.__annotations__[attribute] for base in cls.__mro__ if attribute in getattr(base, '__annotations__', {})), object)
        kind, optional = noted(models, note)
        visible = field._visibility
        found[field._rest_name] = (kind, not optional, visible == ['read'])
    rules = getattr(cls, '_validation', {})
    for attribute, entry in getattr(cls, '_attribute_map', {}).items():
        path = [part.replace('\\', '') for part in re.split(r'(?<!\\)\.', entry['key'])]
        rule = rules.get(attribute, {})
        into = found
        for part in path[:-1]:
            into = into.setdefault(part, {})
        into[path[-1]] = (typed(models, entry['type']), rule.get('required', False), rule.get('readonly', False))
    return found


def narrowed(models, cls, value):
    """The kind of a model that its discriminator names."""
    for attribute, kinds in cls.__dict__.get('_subtype_map', {}).items():
        key = cls._attribute_map[attribute]['key'].replace('\\', '')
        if value.get(key) not in kinds:
            return None
        return narrowed(models, getattr(models, kinds[value[key]]), value)
    return cls


def wrong(models, kind, value, path):
    if value is None or kind is object:
        return
    if isinstance(kind, dict):
        yield from inside(models, kind, value, path)
    elif isinstance(kind, tuple):
        outer, inner = kind
        if not isinstance(value, list if outer == 'list' else dict):
            yield f'{path} must be a {outer}'
            return
        for key, item in enumerate(value) if outer == 'list' else value.items():
            yield from wrong(models, inner, item, f'{path}.{key}')
    elif inspect.isclass(kind) and issubclass(kind, enum.Enum):
        if value not in [each.value for each in kind]:
            yield f'{path} is {value!r}, and there are {", ".join(each.value for each in kind)}'
    elif kind in (str, int, bool, float):
        # A whole number is a number.
        if not isinstance(value, (int, float) if kind is float else kind) or (kind in (int, float) and isinstance(value, bool)):
            yield f'{path} must be {kind.__name__}'
    else:
        narrow = narrowed(models, kind, value) if isinstance(value, dict) else kind
        if narrow is None:
            yield f'{path} is of no kind that there is'
        else:
            yield from inside(models, fields(models, narrow), value, path)


def inside(models, known, value, path):
    if not isinstance(value, dict):
        yield f'{path} must be an object'
        return
    for name, item in value.items():
        if name not in known:
            yield f'{path}.{name} is not known; there are {", ".join(sorted(known))}'
        elif isinstance(known[name], dict):
            yield from inside(models, known[name], item, f'{path}.{name}')
        else:
            kind, _, readonly = known[name]
            if readonly:
                yield f'{path}.{name} is read-only'
            yield from wrong(models, kind, item, f'{path}.{name}')
    for name, entry in known.items():
        if isinstance(entry, tuple) and entry[1] and not entry[2] and name not in value:
            yield f'{path}.{name} is missing'


def versions(package):
    """Every version of the API that a library speaks."""
    found = set()
    for part in ('_configuration', 'operations._operations'):
        try:
            found |= set(re.findall(r'"(20\d\d-\d\d-\d\d(?:-preview)?)"', inspect.getsource(importlib.import_module(f'{package}.{part}'))))
        except ImportError:
            pass
    named = re.search(r'\.v(\d{4}_\d\d_\d\d(?:_preview)?)$', package)
    return found | ({named[1].replace('_', '-')} if named else set())


def main():
    said = []
    for resource in json.load(open(sys.argv[1])):
        if resource['type'] not in MODELS:
            said.append(f'{resource["type"]} is not in the table')
            continue
        name, model = MODELS[resource['type']]
        package = f'azure.mgmt.{name}'
        models = importlib.import_module(f'{package}.models')
        path = f'{resource["type"]} {resource["name"]}'
        if resource['apiVersion'] not in versions(package):
            said.append(f'{path}: {resource["apiVersion"]} is no version that the library speaks')
        said += list(wrong(models, getattr(models, model), resource['body'], path))
    print(json.dumps(said))


main()
