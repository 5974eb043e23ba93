// Runs a mapping script with doubles of what it finds in the identity provider; whatever else it touches throws.
([script, body, clientSupportName]) => {
    const strict = (name, members) =>
        new Proxy(Object.assign(Object.create(null), members), {
            get(target, key) {
                if (key in target) {
                    return target[key];
                }
                throw new TypeError(`${name} has no ${String(key)}`);
            },
            set(_target, key) {
                throw new TypeError(`${name}.${String(key)} cannot be set`);
            },
        });
    const need = (holds, sentence) => {
        if (!holds) {
            throw new TypeError(sentence);
        }
    };
    const attributes = [];
    const hidden = new WeakMap();

    const javaClass = (name, construct, methods = {}) =>
        new Proxy(function () {}, {
            construct(_target, parameters) {
                need(construct !== null, `${name} cannot be made`);
                return construct(...parameters);
            },
            apply() {
                throw new TypeError(`${name} is no function`);
            },
            get(_target, key) {
                need(key in methods, `${name} has no ${String(key)}`);
                return methods[key];
            },
        });

    const entity = strict("HttpEntity", {});
    const classes = {
        "java.util.ArrayList": javaClass("ArrayList", (...parameters) => {
            need(parameters.length === 0, "new ArrayList() takes nothing here");
            const items = [];
            const list = strict("ArrayList", { add: (item) => items.push(item) > 0 });
            hidden.set(list, items);
            return list;
        }),
        "net.shibboleth.idp.attribute.StringAttributeValue": javaClass("StringAttributeValue", (value) => {
            need(typeof value === "string" && value.trim() !== "", "StringAttributeValue needs a string");
            const made = strict("StringAttributeValue", {});
            hidden.set(made, value);
            return made;
        }),
        "net.shibboleth.idp.attribute.IdPAttribute": javaClass("IdPAttribute", (id) => {
            need(typeof id === "string" && id.trim() === id && id !== "", "IdPAttribute needs an id");
            const known = { id, values: [] };
            const attribute = strict("IdPAttribute", {
                setValues(list) {
                    need(Array.isArray(hidden.get(list)), "setValues needs a collection");
                    known.values = hidden.get(list).map((value) => {
                        need(typeof hidden.get(value) === "string", "a value is no StringAttributeValue");
                        return hidden.get(value);
                    });
                },
            });
            hidden.set(attribute, known);
            return attribute;
        }),
        [clientSupportName]: javaClass("HttpClientSupport", null, {
            toString(given, charset, maxLength) {
                need(given === entity && charset === "UTF-8", "toString needs the entity and UTF-8");
                need(Number.isInteger(maxLength) && maxLength > 0, "toString needs a limit");
                need(new TextEncoder().encode(body).length <= maxLength, "the body is longer than the limit");
                return body;
            },
        }),
    };

    // As in Nashorn and Rhino: a name that is no class is a package, an object that holds whatever one asks for.
    const javaPackage = (path) =>
        new Proxy(Object.create(null), {
            get(_target, key) {
                const name = path === "" ? String(key) : `${path}.${String(key)}`;
                return classes[name] ?? javaPackage(name);
            },
        });

    const say = (sentence) => need(typeof sentence === "string", "the log takes a string");
    const variables = {
        Packages: javaPackage(""),
        response: strict("HttpResponse", { getEntity: () => entity }),
        log: strict("Logger", { debug: say, info: say, warn: say, error: say }),
        connectorResults: strict("Set", {
            add(attribute) {
                need(hidden.get(attribute)?.id !== undefined, "connectorResults takes an IdPAttribute");
                attributes.push(hidden.get(attribute));
                return true;
            },
        }),
    };
    const later = ["Map", "Set", "WeakMap", "WeakSet", "Promise", "Proxy", "Reflect", "Symbol", "Intl", "BigInt", "fetch", "console"];
    const browserOnly = ["window", "document", "self", "globalThis", "navigator", "location", "XMLHttpRequest", "Java"];
    try {
        const names = [...Object.keys(variables), ...later, ...browserOnly];
        new Function(...names, script)(...Object.values(variables));
    } catch (error) {
        return { attributes: [], failure: `${error.name}: ${error.message}` };
    }
    return { attributes, failure: null };
}
