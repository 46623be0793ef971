//! The description of the API, made from the catalogue of commands.
//! It must not say anything about a command that the catalogue does not.

use axum::{http::StatusCode, response::Response};
use serde_json::{Map, Value, json};

use super::reply;
use crate::model::catalogue::{CATALOGUE, Entry};

pub(super) async fn describe() -> Response {
    reply::json_reply(StatusCode::OK, &document())
}

fn document() -> Value {
    let commands: Vec<Value> = CATALOGUE.iter().map(command).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pointsman",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything about a running Pointsman, over HTTP",
        },
        "security": [{ "login": [] }, {}],
        "paths": {
            "/v1/commands": { "post": {
                "summary": "Carry out a command",
                "parameters": [{
                    "name": "X-Request-Id", "in": "header", "required": false,
                    "description": "goes into the answer as id",
                    "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
                }],
                "requestBody": body(json!({ "oneOf": commands })),
                "responses": responses("#/components/schemas/Answer"),
            }},
            "/v1/login": { "post": {
                "summary": "Log in",
                "requestBody": body(json!({ "oneOf": [
                    strings(&["user", "password"]), strings(&["user", "state", "otp"]),
                ]})),
                "responses": responses("#/components/schemas/Login"),
            }},
            "/v1/logout": { "post": {
                "summary": "End the login whose token is sent",
                "responses": responses("#/components/schemas/Answer"),
            }},
            "/v1/events": { "get": {
                "summary": "Events as they happen, each a CloudEvent",
                "parameters": [{
                    "name": "Last-Event-ID", "in": "header", "required": false,
                    "description": "the sequence number after which to begin",
                    "schema": { "type": "integer", "minimum": 0 },
                }],
                "responses": { "200": {
                    "description": "a stream",
                    "content": { "text/event-stream": { "schema": { "type": "string" } } },
                }},
            }},
            "/v1/openapi.json": plain("This description"),
            "/healthz": plain("Whether the process answers"),
            "/readyz": plain("Whether commands can be carried out"),
        },
        "components": {
            "securitySchemes": { "login": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Answer": answer(), "Login": login() },
        },
    })
}

fn body(schema: Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

fn plain(summary: &str) -> Value {
    json!({ "get": {
        "summary": summary, "security": [{}],
        "responses": { "200": { "description": "yes" } },
    }})
}

fn strings(keys: &[&str]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), json!({ "type": "string" })))
        .collect();
    object(properties, keys, false)
}

fn object(properties: Map<String, Value>, required: &[&str], more: bool) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": more,
    })
}

fn responses(schema: &str) -> Value {
    let mut responses = Map::new();
    for (status, description) in [
        ("200", "done"),
        ("400", "invalid"),
        ("401", "no login, or one that has ended"),
        ("403", "denied"),
        ("404", "not found"),
        ("408", "the body took too long"),
        ("409", "conflict"),
        ("413", "the body is too large"),
        ("415", "the body is not application/json"),
        ("421", "not a host of ours"),
        ("429", "too many log-ins failed"),
        ("500", "failed"),
        ("503", "unavailable"),
    ] {
        let schema = if status == "200" {
            schema
        } else {
            "#/components/schemas/Answer"
        };
        let content = json!({ "application/json": { "schema": { "$ref": schema } } });
        let response = json!({ "description": description, "content": content });
        responses.insert(status.to_owned(), response);
    }
    Value::Object(responses)
}

fn answer() -> Value {
    json!({
        "type": "object",
        "required": ["id", "ok"],
        "properties": {
            "id": { "type": "string" },
            "ok": { "type": "boolean" },
            "revision": { "type": "integer" },
            "diff": { "type": "array", "items": { "type": "string" } },
            "data": { "type": "object" },
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": { "enum": [
                        "denied", "invalid", "not-found", "conflict", "failed", "unavailable",
                    ]},
                    "message": { "type": "string" },
                },
            },
            "retry_after": { "type": "number", "description": "seconds" },
        },
    })
}

fn login() -> Value {
    let text = || json!({ "type": "string" });
    let accepted = json!({
        "token": text(), "login": text(), "user": text(), "by": text(),
        "role": { "enum": ["viewer", "operator", "admin"] },
        "services": { "type": "array", "items": text() },
        "expires": { "type": "string", "format": "date-time" },
    });
    let challenge = json!({ "challenge": text(), "state": text() });
    json!({
        "type": "object",
        "required": ["ok", "data"],
        "properties": {
            "id": text(), "ok": { "const": true },
            "data": { "oneOf": [
                { "type": "object", "properties": accepted, "required": ["token"] },
                { "type": "object", "properties": challenge, "required": ["challenge", "state"] },
            ]},
        },
    })
}

/// The schema of a command. `host | service, client` are alternatives: none of them is required.
fn command(entry: &Entry) -> Value {
    let mut properties = Map::new();
    properties.insert("command".to_owned(), json!({ "const": entry.name }));
    let mut required = vec!["command"];
    let mut more = false;
    let alternatives = entry.arguments.contains('|');
    for argument in entry.arguments.split([',', '|']).map(str::trim) {
        if argument.is_empty() {
            continue;
        }
        if argument.starts_with('…') {
            more = true;
            continue;
        }
        let name = argument.trim_end_matches('?');
        if name == argument && !alternatives {
            required.push(name);
        }
        properties.insert(name.to_owned(), kind(name));
    }
    if entry.changes {
        for (option, kind) in [
            ("expect_revision", "integer"),
            ("dry_run", "boolean"),
            ("confirm_within", "string"),
            ("reason", "string"),
        ] {
            properties.insert(option.to_owned(), json!({ "type": kind }));
        }
    }
    let mut schema = object(properties, &required, more);
    schema["title"] = entry.name.into();
    schema["description"] = format!("{} (role: {})", entry.help, entry.role).into();
    schema
}

fn kind(argument: &str) -> Value {
    match argument {
        "limit" | "since" | "from" | "to" | "revision" | "weight" | "max_sessions" => {
            json!({ "type": "integer", "minimum": 0 })
        }
        "listen" => json!({ "type": "array", "items": { "type": "string" } }),
        "services" => json!({ "type": "array", "items": { "type": "object" } }),
        "admin" => json!({ "enum": ["enabled", "draining", "disabled"] }),
        _ => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_catalogue_is_described() {
        let document = document();
        let schema = &document["paths"]["/v1/commands"]["post"]["requestBody"];
        let schema = &schema["content"]["application/json"]["schema"]["oneOf"];
        let commands = schema.as_array().unwrap();
        assert_eq!(commands.len(), CATALOGUE.len());
        let find = |name: &str| commands.iter().find(|row| row["title"] == name).unwrap();
        let add = find("add-host");
        assert_eq!(add["required"], json!(["command", "host", "address"]));
        assert_eq!(add["additionalProperties"], false);
        assert_eq!(add["properties"]["dry_run"]["type"], "boolean");
        assert_eq!(find("set-group")["additionalProperties"], true);
        assert_eq!(find("explain")["required"], json!(["command"]));
    }
}
