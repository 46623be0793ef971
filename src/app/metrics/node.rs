//! The figures of the node itself: its revision, its commands, its log-ins, its bus.
//! It must not wait for the control task.

use std::collections::BTreeMap;

use super::text::{Kind, Page};
use crate::{
    auth::tally::Which,
    control::{outside::BusStatus, tally::Tally},
    model::{error::Code, principal::Door},
};

/// Writes what is counted by the control task.
pub(super) fn write(page: &mut Page, tally: &Tally) {
    page.family(
        "pointsman_build_info",
        Kind::Gauge,
        "Always 1; the label has the version.",
    )
    .value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let [done, refused] = tally.reloads();
    let rows = [
        (
            "pointsman_revision",
            Kind::Gauge,
            "The revision that runs.",
            tally.revision() as f64,
        ),
        (
            "pointsman_events_total",
            Kind::Counter,
            "Events that were recorded, over restarts too.",
            tally.last_event() as f64,
        ),
        (
            "pointsman_journal_failures_total",
            Kind::Counter,
            "Times the journal could not be read or written when something was to be recorded.",
            tally.journal_failures() as f64,
        ),
        (
            "pointsman_last_reload_failed",
            Kind::Gauge,
            "Whether the last reload was refused: 1 or 0.",
            f64::from(u8::from(tally.reload_failed())),
        ),
    ];
    for (name, kind, help, value) in rows {
        page.one(name, kind, help, value);
    }
    let mut family = page.family(
        "pointsman_reloads_total",
        Kind::Counter,
        "Reloads of the configuration file, by what came of them.",
    );
    family.value(&[("result", "ok")], done as f64);
    family.value(&[("result", "refused")], refused as f64);
    write_commands(page, tally);
}

/// What can come of each door is there from the start, so that the first is seen as a growth.
fn write_commands(page: &mut Page, tally: &Tally) {
    let results = || std::iter::once(None).chain(Code::ALL.map(Some));
    let every = Door::ALL.map(|door| results().map(move |result| (door, result)));
    let mut counted: BTreeMap<(String, String), u64> = BTreeMap::new();
    let none = every.into_iter().flatten().map(|which| (which, 0));
    for ((door, refused), number) in none.chain(tally.commands()) {
        let result = refused.map_or_else(|| "ok".to_owned(), |code| code.to_string());
        *counted.entry((door.to_string(), result)).or_default() += number;
    }
    let mut family = page.family(
        "pointsman_commands_total",
        Kind::Counter,
        "Commands that were answered, by the door they came by and what came of them.",
    );
    for ((door, result), number) in &counted {
        family.value(&[("door", door), ("result", result)], *number as f64);
    }
}

/// Writes how many log-ins there were.
pub(super) fn write_logins(page: &mut Page, logins: &BTreeMap<Which, u64>) {
    let mut family = page.family(
        "pointsman_logins_total",
        Kind::Counter,
        "Log-ins, by who decided about them and what they came to.",
    );
    for ((backend, result), number) in logins {
        family.value(&[("backend", backend), ("result", result)], *number as f64);
    }
}

/// Writes how many lines of the log were lost.
pub(super) fn write_lost_lines(page: &mut Page, lost: u64) {
    let help = "Lines of the log, the access log included, that nobody took in time.";
    page.one(
        "pointsman_log_lines_lost_total",
        Kind::Counter,
        help,
        lost as f64,
    );
}

/// Writes how the message bus is.
pub(super) fn write_bus(page: &mut Page, bus: &BusStatus) {
    let rows = [
        (
            "pointsman_bus_connected",
            Kind::Gauge,
            "Whether there is a connection to a broker: 1 or 0.",
            f64::from(u8::from(bus.connected)),
        ),
        (
            "pointsman_bus_events_sent_total",
            Kind::Counter,
            "Events that the broker has confirmed since the bus was set up.",
            bus.sent as f64,
        ),
        (
            "pointsman_bus_events_waiting",
            Kind::Gauge,
            "Events that wait to be sent or confirmed.",
            bus.waiting as f64,
        ),
        (
            "pointsman_bus_events_lost_total",
            Kind::Counter,
            "Events that were dropped before they could be sent, since the bus was set up.",
            bus.lost as f64,
        ),
    ];
    for (name, kind, help, value) in rows {
        page.one(name, kind, help, value);
    }
}
