"""What a model may be called where others read it."""

from medbench.config import digest

SECRET = ("api_key", "token", "auth_token")


def public_name(model: str) -> str:
    """A model's name as it may be published: no folder of this machine, no server address, no key.

    >>> public_name("local:/data/models/tiny#12ab"), public_name("openai:my-7b@http://10.0.0.1/v1")
    ('local:tiny#12ab', 'openai:my-7b')
    >>> public_name("local:owner/model"), public_name("local:~/tiny/"), public_name("local:runs/tiny#12ab")
    ('local:owner/model', 'local:tiny', 'local:tiny#12ab')
    >>> public_name("openai:/data/models/my-7b@https://user.example:8000/v1?key=1")
    'openai:my-7b'
    >>> public_name("lm-eval:hf,pretrained=/data/x,dtype=float#12ab")
    'lm-eval:hf,pretrained=x,dtype=float#12ab'
    >>> public_name("lm-eval:local-completions,model=owner/model,base_url=http://10.0.0.1/v1")
    'lm-eval:local-completions,model=owner/model'
    >>> public_name("scripted:/data/replies.jsonl#12ab"), public_name("baseline:first")
    ('scripted:replies.jsonl#12ab', 'baseline:first')
    """
    kind, colon, rest = model.partition(":")
    if kind == "lm-eval":
        body, sign, mark = rest.partition("#")
        pairs = [part.partition("=") for part in body.split(",")]
        shown = [k + eq + last_part(v) for k, eq, v in pairs if "://" not in v and k not in SECRET]
        return f"{kind}:{','.join(shown)}{sign}{mark}"
    if kind == "openai":
        rest = rest.partition("@http")[0]
    return kind + colon + last_part(rest)


def last_part(name: str) -> str:
    """The last part of a path; a Hub id (owner/name) as it is. Only folders and files carry a `#` mark."""
    path, sign, mark = name.partition("#")
    hub_id = path.count("/") < 2 and path[:1] not in ("/", ".", "~") and not mark
    return (path if hub_id else path.rstrip("/").rpartition("/")[2]) + sign + mark


def lasting_name(model: str) -> str:
    """What a model is found again by, wherever it is served: its public name, and a mark where that is short.

    Two folders that end alike get different marks; an address gets none.

    >>> lasting_name("openai:my-7b@http://10.0.0.1/v1"), lasting_name("local:/data/tiny#12ab")
    ('openai:my-7b', 'local:tiny#12ab')
    >>> one, other = (lasting_name(f"openai:/runs/{n}/final@http://h/v1") for n in (1, 2))
    >>> one == other, one.startswith("openai:final~")
    (False, True)
    """
    shown = public_name(model)
    kind, _, rest = model.partition(":")
    whole = rest.partition("@http")[0] if kind == "openai" else rest
    told = shown.partition(":")[2]
    if "#" in told or whole == told:
        return shown
    parts = [p for p in whole.split(",") if "://" not in p and p.partition("=")[0] not in SECRET]
    return shown if ",".join(parts) == told else f"{shown}~{digest(parts)[:6]}"
