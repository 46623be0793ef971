//! The status: a table for each service.
//! It must not judge; what is red is what the node says is down.

use std::time::Duration;

use serde_json::Value;

use super::{list, plain, text};
use crate::cli::{
    style::{Paint, paint},
    table::{Cell, Table},
};

pub(super) fn status(data: &Value, revision: Option<u64>, colour: bool) -> String {
    let mut head = paint(Paint::Bold, &text(data, "node"), colour);
    if let Some(seconds) = data.get("uptime_s").and_then(Value::as_f64) {
        head += &format!(", up {}", uptime(seconds));
    }
    if let Some(revision) = revision {
        head += &format!(", revision {revision}");
    }
    if let Some(found) = data.get("bus") {
        head += &format!("\n{}", bus(found, colour));
    }
    let mut parts = vec![head];
    parts.extend(list(data, "services").map(|found| service(found, colour)));
    if parts.len() == 1 {
        parts.push("no services".to_owned());
    }
    parts.join("\n\n")
}

fn bus(bus: &Value, colour: bool) -> String {
    let counts = ["sent", "waiting", "lost"].map(|key| format!("{} {key}", text(bus, key)));
    let (link, trouble) = (text(bus, "broker"), text(bus, "trouble"));
    let link = match link.is_empty() {
        true => paint(Paint::Red, "not connected", colour),
        false => format!("at {link}"),
    };
    let mut line = format!("bus {link}, events: {}", counts.join(", "));
    if !trouble.is_empty() {
        line += &format!("; {trouble}");
    }
    line
}

/// In two units at most: nobody wants the seconds of the last three weeks.
fn uptime(seconds: f64) -> String {
    let length = Duration::try_from_secs_f64(seconds.floor()).unwrap_or_default();
    let text = humantime::format_duration(length).to_string();
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}

fn service(service: &Value, colour: bool) -> String {
    let (open, total) = sessions(service);
    let listen = service.get("listen").map(plain).unwrap_or_default();
    let name = paint(Paint::Bold, &text(service, "name"), colour);
    let head = format!("{name}  {listen}  {open} open, {total} in all");
    let active = text(service, "active");
    let mut table = Table::new(&[
        "group", "host", "address", "admin", "health", "weight", "open", "sessions", "reason",
    ]);
    for group in list(service, "groups") {
        let name = text(group, "name");
        let is_active = name == active;
        let label = if is_active { format!("{name} *") } else { name };
        let mut hosts = list(group, "hosts").peekable();
        if hosts.peek().is_none() {
            table.row([label.clone(), "(no hosts)".to_owned()]);
        }
        for host in hosts {
            table.row(row(&label, is_active, host));
        }
    }
    format!("{head}\n{}", table.render(colour))
}

fn row(group: &str, is_active: bool, host: &Value) -> [Cell; 9] {
    let (open, total) = sessions(host);
    let (admin, health) = (text(host, "admin"), text(host, "health"));
    let of_admin = (admin != "enabled").then_some(Paint::Yellow);
    let of_health = match health.as_str() {
        "up" => Some(Paint::Green),
        "down" => Some(Paint::Red),
        "ejected" => Some(Paint::Yellow),
        _ => Some(Paint::Dim),
    };
    [
        Cell::painted(group, (!is_active).then_some(Paint::Dim)),
        text(host, "name").into(),
        text(host, "address").into(),
        Cell::painted(admin, of_admin),
        Cell::painted(health, of_health),
        text(host, "weight").into(),
        open.into(),
        total.into(),
        text(host, "reason").into(),
    ]
}

/// Those that are open, and all that there ever were.
fn sessions(value: &Value) -> (String, String) {
    let sessions = value.get("sessions").unwrap_or(&Value::Null);
    (text(sessions, "active"), text(sessions, "total"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bus_is_one_line() {
        let mut data = json!({"node": "lb1", "services": [], "bus": {"connected": true,
            "broker": "stomp://mq1:61613", "sent": 120, "waiting": 3, "lost": 0, "trouble": null}});
        let head = |data: &Value| status(data, None, false).replace("\n\nno services", "");
        let line = "lb1\nbus at stomp://mq1:61613, events: 120 sent, 3 waiting, 0 lost";
        assert_eq!(head(&data), line);
        data["bus"]["broker"] = Value::Null;
        data["bus"]["trouble"] = json!("mq1: connection refused");
        let line =
            "lb1\nbus not connected, events: 120 sent, 3 waiting, 0 lost; mq1: connection refused";
        assert_eq!(head(&data), line);
    }

    #[test]
    fn a_service_is_a_table_of_its_hosts_with_the_active_group_marked() {
        let host = |name: &str, health: &str| {
            json!({"name": name, "address": "10.0.0.1:80", "weight": 5, "admin": "enabled",
                "health": health, "reason": "", "sessions": {"active": 2, "total": 31}})
        };
        let data = json!({"node": "lb1", "uptime_s": 93_784, "services": [{
            "name": "web", "listen": ["0.0.0.0:8080", "[::]:8080"], "active": "blue",
            "sessions": {"active": 3, "total": 40},
            "groups": [
                {"name": "blue", "scheduler": "random", "hosts": [host("w1", "up")]},
                {"name": "green", "scheduler": "random", "hosts": []},
            ],
        }]});
        let expected = "\
lb1, up 1day 2h, revision 7

web  0.0.0.0:8080, [::]:8080  3 open, 40 in all
GROUP   HOST        ADDRESS      ADMIN    HEALTH  WEIGHT  OPEN  SESSIONS  REASON
blue *  w1          10.0.0.1:80  enabled  up           5     2        31
green   (no hosts)";
        assert_eq!(status(&data, Some(7), false), expected);
        let coloured = status(&data, Some(7), true);
        assert!(coloured.contains("\x1b[32mup\x1b[0m"), "{coloured}");
    }
}
