//! Refusals of people who are nobody, as events: the first of its kind at once, the others counted
//! up.
//! It must not grow with the number of failures, nor of sources.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::model::{event::Event, principal::Door};

/// How long failures of one source are counted up before they are told.
pub const SPAN: Duration = Duration::from_secs(10);
/// Sources that are told apart within a span; what comes from more is told together.
pub(super) const QUOTA: usize = 32;
/// Names that one event lists.
const NAMES: usize = 8;
/// Characters of a name that are told.
const NAME_LENGTH: usize = 64;
/// The source of those that are told together.
const OTHERS: &str = "others";

/// One refusal, such as a failed log-in.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The kind of the event.
    pub kind: &'static str,
    /// The name that was given; empty where there is none.
    pub user: &'a str,
    /// Where it came from.
    pub source: &'a str,
    /// By which door.
    pub door: Door,
    /// What was wrong: one of a handful of words.
    pub code: &'static str,
    /// Why, for the audit trail.
    pub because: &'a str,
}

#[derive(Debug)]
struct Window {
    opened: Instant,
    door: Door,
    more: u64,
    users: BTreeSet<String>,
}

/// Source, kind and code.
type Which = (String, &'static str, &'static str);

/// Counts refusals up.
#[derive(Debug, Default)]
pub struct Noise {
    windows: HashMap<Which, Window>,
    ready: Vec<Event>,
}

impl Noise {
    /// Takes in a failure. At most twice [`QUOTA`] events and a few per [`SPAN`] come of it.
    pub fn count(&mut self, failure: Failure<'_>, now: Instant) {
        self.close(now);
        let user = Some(failure.user).filter(|user| !user.is_empty());
        let user = user.map(shortened);
        let mut key = (failure.source.to_owned(), failure.kind, failure.code);
        if !self.windows.contains_key(&key) && self.windows.len() >= QUOTA {
            OTHERS.clone_into(&mut key.0);
        }
        if let Some(window) = self.windows.get_mut(&key) {
            window.more += 1;
            if window.users.len() < NAMES {
                window.users.extend(user);
            }
            return;
        }
        let data = json!({
            "code": failure.code,
            "because": failure.because,
            "door": failure.door,
            "users": Vec::from_iter(user),
            "count": 1,
        });
        let subject = key.0.clone();
        self.ready.push(Event::new(failure.kind, subject, data));
        let window = Window {
            opened: now,
            door: failure.door,
            more: 0,
            users: BTreeSet::new(),
        };
        self.windows.insert(key, window);
    }

    /// What there is to tell by now.
    pub fn take(&mut self, now: Instant) -> Vec<Event> {
        self.close(now);
        std::mem::take(&mut self.ready)
    }

    fn close(&mut self, now: Instant) {
        let over = |window: &Window| now.saturating_duration_since(window.opened) >= SPAN;
        for ((source, kind, code), window) in self.windows.extract_if(|_, window| over(window)) {
            if window.more > 0 {
                let data = json!({
                    "code": code,
                    "door": window.door,
                    "users": window.users,
                    "count": window.more,
                });
                self.ready.push(Event::new(kind, source, data));
            }
        }
    }
}

/// The name as it may be shown to somebody at a terminal.
fn shortened(user: &str) -> String {
    let cut: String = user.chars().take(NAME_LENGTH).collect();
    cut.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(user: &'a str, source: &'a str) -> Failure<'a> {
        Failure {
            kind: "admin.login-failed",
            user,
            source,
            door: Door::Http,
            code: "rejected",
            because: "the password is wrong",
        }
    }

    #[test]
    fn the_first_failure_is_told_at_once_and_the_others_as_a_sum() {
        let (mut noise, start) = (Noise::default(), Instant::now());
        for _ in 0..1000 {
            noise.count(failure("ada", "10.0.0.1"), start);
        }
        let first = noise.take(start);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].data["count"], 1);
        assert!(noise.take(start + SPAN / 2).is_empty());
        let rest = noise.take(start + SPAN);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].data["count"], 999);
        assert_eq!(rest[0].subject, "10.0.0.1");
        assert!(noise.take(start + SPAN * 2).is_empty());
    }

    #[test]
    fn ten_thousand_sources_and_names_make_a_bounded_number_of_events() {
        let (mut noise, start) = (Noise::default(), Instant::now());
        for number in 0..10_000 {
            let (user, source) = (format!("user{number}"), format!("source{number}"));
            noise.count(failure(&user, &source), start);
        }
        let mut events = noise.take(start);
        events.extend(noise.take(start + SPAN));
        let counts = events.iter().map(|event| event.data["count"].as_u64());
        assert_eq!(counts.map(Option::unwrap).sum::<u64>(), 10_000);
        assert!(events.len() <= 2 * (QUOTA + 1), "{}", events.len());
        let longest = events.iter().map(|event| event.data.to_string().len());
        assert!(longest.max().unwrap() < 500);
    }

    #[test]
    fn a_name_is_cut_and_harmless_to_a_terminal() {
        let mut noise = Noise::default();
        let name = format!("\u{1b}[2J\n{}", "x".repeat(1000));
        noise.count(failure(&name, "10.0.0.1"), Instant::now());
        let events = noise.take(Instant::now());
        let shown = events[0].data["users"][0].as_str().unwrap();
        assert!(
            shown.len() < 100 && !shown.contains(char::is_control),
            "{shown}"
        );
    }
}
