//! Who one is, and who else is logged in.
//! It must not show a token.

use serde_json::{Map, Value};

use super::{keys, list, plain, text, time};
use crate::cli::table::Table;

/// A login that has just begun.
pub(in crate::cli) fn logged_in(data: &Value) -> String {
    let services = data.get("services").map(plain).unwrap_or_default();
    format!(
        "logged in as {}: {} on {}, until {}",
        text(data, "user"),
        text(data, "role"),
        if services.is_empty() { "*" } else { &services },
        time(data, "expires"),
    )
}

pub(super) fn whoami(data: &Value, colour: bool) -> String {
    keys(&presentable(data), colour)
}

pub(super) fn logins(data: &Value, colour: bool) -> String {
    let mut table = Table::new(&["login", "user", "role", "services", "by", "from", "expires"]);
    let mut any = false;
    for login in list(data, "logins") {
        any = true;
        let login = presentable(login);
        let cell = |key| text(&login, key);
        table.row(["login", "user", "role", "services", "by", "from", "expires"].map(cell));
    }
    match any {
        true => table.render(colour),
        false => "nobody is logged in".to_owned(),
    }
}

/// Without the token, with times that can be read.
fn presentable(login: &Value) -> Value {
    let mut shown: Map<String, Value> = login.as_object().cloned().unwrap_or_default();
    shown.remove("token");
    shown.retain(|_, value| !value.is_null());
    if shown.contains_key("expires") {
        shown.insert("expires".to_owned(), time(login, "expires").into());
    }
    Value::Object(shown)
}
