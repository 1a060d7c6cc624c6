"""Lists the public interface of a crate, a line for each item with its signature, from rustdoc's JSON.

`list.py countermark.json` prints the lines, sorted. Documentation and the bodies of functions don't count, nor do the traits
that the compiler derives from the contents of a type.
"""

import json
import re
import sys

CRATE = json.load(open(sys.argv[1], encoding="utf-8"))
INDEX, PATHS = CRATE["index"], CRATE["paths"]
lines = set()
# The public paths of each item of the crate.
places = {}


def only(tagged):
    """The one member of an object that says by its name what it is."""
    return next(iter(tagged.items())) if isinstance(tagged, dict) else (tagged, None)


def path_of(path):
    name = PATHS.get(str(path["id"]))
    full = places.get(path["id"]) or ["::".join(name["path"]) if name else path["path"]]
    return full[0] + arguments(path.get("args"))


def arguments(args):
    if not args:
        return ""
    kind, inner = only(args)
    if kind == "parenthesized":
        output = f" -> {rust_type(inner['output'])}" if inner["output"] else ""
        return f"({', '.join(map(rust_type, inner['inputs']))}){output}"
    if kind != "angle_bracketed":
        return ""
    texts = [argument(each) for each in inner["args"]] + [constraint(each) for each in inner["constraints"]]
    return f"<{', '.join(texts)}>" if texts else ""


def argument(arg):
    kind, inner = only(arg)
    return {"lifetime": lambda: inner, "type": lambda: rust_type(inner), "const": lambda: inner["expr"], "infer": lambda: "_"}[kind]()


def constraint(each):
    kind, inner = only(each["binding"])
    if kind == "equality":
        kind, inner = only(inner)
        return f"{each['name']} = {rust_type(inner) if kind == 'type' else inner['expr']}"
    return f"{each['name']}: {bounds(inner)}"


def bounds(each):
    return " + ".join(filter(None, map(bound, each)))


def bound(each):
    kind, inner = only(each)
    if kind == "outlives":
        return inner
    if kind == "use":
        return "use<" + ", ".join(only(arg)[1] for arg in inner) + ">"
    modifier = {"none": "", "maybe": "?", "maybe_const": "~const "}[inner["modifier"]]
    return for_lifetimes(inner["generic_params"]) + modifier + path_of(inner["trait"])


def for_lifetimes(params):
    return f"for<{', '.join(each['name'] for each in params)}> " if params else ""


def rust_type(this):
    kind, inner = only(this)
    if kind == "resolved_path":
        return path_of(inner)
    if kind in ("generic", "primitive"):
        return inner
    if kind == "tuple":
        return f"({', '.join(map(rust_type, inner))}{',' if len(inner) == 1 else ''})"
    if kind == "slice":
        return f"[{rust_type(inner)}]"
    if kind == "array":
        return f"[{rust_type(inner['type'])}; {inner['len']}]"
    if kind == "borrowed_ref":
        return "&" + (f"{inner['lifetime']} " if inner["lifetime"] else "") + ("mut " if inner["is_mutable"] else "") + rust_type(inner["type"])
    if kind == "raw_pointer":
        return ("*mut " if inner["is_mutable"] else "*const ") + rust_type(inner["type"])
    if kind == "impl_trait":
        return f"impl {bounds(inner)}"
    if kind == "dyn_trait":
        texts = [for_lifetimes(each["generic_params"]) + path_of(each["trait"]) for each in inner["traits"]]
        return "dyn " + " + ".join(texts + ([inner["lifetime"]] if inner["lifetime"] else []))
    if kind == "function_pointer":
        return for_lifetimes(inner["generic_params"]) + "fn" + signature(inner["sig"])
    if kind == "qualified_path":
        trait = f" as {path_of(inner['trait'])}" if inner["trait"] else ""
        return f"<{rust_type(inner['self_type'])}{trait}>::{inner['name']}{arguments(inner['args'])}"
    if kind == "infer":
        return "_"
    raise ValueError(f"unknown type: {kind}")


def signature(sig):
    inputs = []
    for name, this in sig["inputs"]:
        text = rust_type(this)
        if name == "self":
            text = {"Self": "self", "&Self": "&self", "&mut Self": "&mut self"}.get(text, f"self: {text}")
        inputs.append(text)
    return f"({', '.join(inputs)})" + (f" -> {rust_type(sig['output'])}" if sig["output"] else "")


def generics(these):
    """The parameters, and the `where` clause."""
    params = []
    for each in these["params"]:
        kind, inner = only(each["kind"])
        if kind == "const":
            params.append(f"const {each['name']}: {rust_type(inner['type'])}")
        elif kind == "lifetime" or not inner["is_synthetic"]:
            limits = inner["outlives"] if kind == "lifetime" else [bounds(inner["bounds"])]
            text = each["name"] + "".join(f": {limit}" for limit in [" + ".join(limits)] if limit)
            params.append(text + (f" = {rust_type(inner['default'])}" if inner.get("default") else ""))
    wheres = []
    for each in these["where_predicates"]:
        kind, inner = only(each)
        if kind == "bound_predicate":
            wheres.append(f"{for_lifetimes(inner['generic_params'])}{rust_type(inner['type'])}: {bounds(inner['bounds'])}")
        elif kind == "lifetime_predicate":
            wheres.append(f"{inner['lifetime']}: {' + '.join(inner['outlives'])}")
        else:
            wheres.append(f"{rust_type(inner['lhs'])} = {only(inner['rhs'])[1]}")
    return (f"<{', '.join(params)}>" if params else ""), (f" where {', '.join(sorted(wheres))}" if wheres else "")


def function(item, path):
    inner = item["inner"]["function"]
    header, (params, wheres) = inner["header"], generics(inner["generics"])
    words = "".join(f"{word} " for word in ("const", "async", "unsafe") if header[f"is_{word}"])
    return f"{words}fn {path}{params}{signature(inner['sig'])}{wheres}"


def prefix(item):
    marks = [only(attr)[0] for attr in item["attrs"]]
    texts = [f"#[{mark}] " for mark in ("non_exhaustive", "must_use") if mark in marks]
    return "".join(texts) + ("#[deprecated] " if item["deprecation"] else "")


def put(item, text):
    lines.add(prefix(item) + text)


def public(ids):
    return [INDEX[str(each)] for each in ids if each is not None and str(each) in INDEX]


def fields(item, path, kind):
    """The fields that can be seen of a struct or a variant, and how it is written down when all of its fields are hidden."""
    shape, inner = only(kind)
    if shape in ("plain", "unit"):
        return ""
    if shape == "tuple":
        texts = ["_" if each is None else rust_type(INDEX[str(each)]["inner"]["struct_field"]) for each in inner]
        return f"({', '.join(texts)})"
    for field in public(inner["fields"]):
        put(field, f"field {path}.{field['name']}: {rust_type(field['inner']['struct_field'])}")
    return " { .. }" if inner["has_stripped_fields"] else " { }"


def implementations(ids, path):
    for impl in public(ids):
        inner = impl["inner"]["impl"]
        if inner["is_synthetic"] or inner["blanket_impl"]:
            continue
        params, wheres = generics(inner["generics"])
        this = rust_type(inner["for"])
        if inner["trait"]:
            put(impl, f"impl{params} {'!' if inner['is_negative'] else ''}{path_of(inner['trait'])} for {this}{wheres}")
            for item in public(inner["items"]):
                if "assoc_type" in item["inner"] and item["inner"]["assoc_type"]["type"]:
                    put(item, f"type <{this} as {path_of(inner['trait'])}>::{item['name']} = {rust_type(item['inner']['assoc_type']['type'])}")
        else:
            where = f"{wheres} [impl{params} {this}]" if params or "<" in this else ""
            for item in public(inner["items"]):
                member(item, path, where)


def member(item, path, where=""):
    """A function, a constant or a type of an impl or a trait."""
    kind, inner = only(item["inner"])
    name = f"{path}::{item['name']}"
    if kind == "function":
        put(item, function(item, name) + (" { .. }" if where == " [trait]" and inner["has_body"] else "") + where)
    elif kind == "assoc_const":
        put(item, f"const {name}: {rust_type(inner['type'])}" + where)
    elif kind == "assoc_type":
        params, wheres = generics(inner["generics"])
        limit = f": {bounds(inner['bounds'])}" if inner["bounds"] else ""
        put(item, f"type {name}{params}{limit}" + (f" = {rust_type(inner['type'])}" if inner["type"] else "") + wheres + where)


def walk(item, path, seen):
    kind, inner = only(item["inner"])
    if kind not in ("use", "module") and path not in places.setdefault(item["id"], []):
        places[item["id"]].append(path)
    if kind == "module":
        put(item, f"mod {path}")
        for each in public(inner["items"]):
            if each["visibility"] == "public":
                walk(each, path if "use" in each["inner"] else f"{path}::{each['name']}", seen)
    elif kind == "use":
        target = INDEX.get(str(inner["id"]))
        name = path if inner["is_glob"] else f"{path}::{inner['name']}"
        if target is None or target["crate_id"] != 0:
            put(item, f"use {name} = {inner['source']}{'::*' if inner['is_glob'] else ''}")
        elif inner["is_glob"] and (inner["id"], name) not in seen:
            for each in public(target["inner"][only(target["inner"])[0]]["items"]):
                if each["visibility"] == "public":
                    walk(each, name if "use" in each["inner"] else f"{name}::{each['name']}", seen | {(inner["id"], name)})
        elif not inner["is_glob"]:
            walk(target, name, seen)
    elif kind == "function":
        put(item, function(item, path))
    elif kind in ("struct", "union"):
        params, wheres = generics(inner["generics"])
        shape = fields(item, path, inner["kind"]) if kind == "struct" else ""
        put(item, f"{kind} {path}{params}{shape}{wheres}")
        implementations(inner["impls"], path)
    elif kind == "enum":
        params, wheres = generics(inner["generics"])
        put(item, f"enum {path}{params}{wheres}")
        for variant in public(inner["variants"]):
            name = f"{path}::{variant['name']}"
            put(variant, f"variant {name}{fields(variant, name, variant['inner']['variant']['kind'])}")
        implementations(inner["impls"], path)
    elif kind == "trait":
        params, wheres = generics(inner["generics"])
        limit = f": {bounds(inner['bounds'])}" if inner["bounds"] else ""
        put(item, f"{'unsafe ' if inner['is_unsafe'] else ''}trait {path}{params}{limit}{wheres}")
        for each in public(inner["items"]):
            member(each, path, " [trait]")
        for impl in public(inner["implementations"]):
            block = impl["inner"]["impl"]
            if only(block["for"])[0] != "resolved_path":
                put(impl, f"impl{generics(block['generics'])[0]} {path_of(block['trait'])} for {rust_type(block['for'])}{generics(block['generics'])[1]}")
    elif kind == "type_alias":
        params, wheres = generics(inner["generics"])
        put(item, f"type {path}{params} = {rust_type(inner['type'])}{wheres}")
    elif kind == "constant":
        put(item, f"const {path}: {rust_type(inner['type'])}")
    elif kind == "static":
        put(item, f"static {path}: {rust_type(inner['type'])}")
    elif kind in ("macro", "proc_macro"):
        put(item, f"macro {path}!")
    else:
        raise ValueError(f"unknown item: {kind} {path}")


root = INDEX[str(CRATE["root"])]
# Twice: signatures name types by their public paths, which the first walk finds.
walk(root, root["name"], frozenset())
lines.clear()
walk(root, root["name"], frozenset())
twice = sorted(paths for paths in places.values() if len(paths) > 1)
for paths in twice:
    print(f"public at several paths: {', '.join(paths)}", file=sys.stderr)
if twice:
    sys.exit(1)
# By path, and what is implemented last.
order = re.compile(r"^(?:#\[\w+\] )*(?:(?:const|async|unsafe) )*(?:fn|struct|enum|trait|mod|field|variant|type|const|static|use|macro) <?")
print(*sorted(lines, key=lambda line: (line.startswith("impl"), order.sub("", line))), sep="\n")
