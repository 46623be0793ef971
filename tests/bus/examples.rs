//! The events of `docs/bus.md`: each as it is written there, and none besides.
//! It must not know an event that the document does not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
    sync::LazyLock,
};

use serde_json::{Map, Value};

/// The data of each type's examples together, by the type without `pointsman.`
static EXAMPLES: LazyLock<BTreeMap<&str, Map<String, Value>>> = LazyLock::new(|| {
    let text = include_str!("../../docs/bus.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| type |"))
        .skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let mut examples: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for row in rows {
        let code: Vec<&str> = row.split('`').collect();
        let [_, kind, .., data, _] = code[..] else {
            panic!("no type and data in {row}");
        };
        let data = serde_json::from_str::<Map<_, _>>(data);
        let data = data.unwrap_or_else(|error| panic!("{error}: {row}"));
        examples.entry(kind).or_default().extend(data);
    }
    examples
});

/// Every type, without `pointsman.`
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    EXAMPLES.keys().copied()
}

/// Types whose data are keys of the configuration: those that were given, or have changed.
fn is_open(kind: &str) -> bool {
    let (what, happened) = kind.split_once('.').unwrap();
    matches!(what, "host" | "service" | "group") && matches!(happened, "added" | "changed")
}

fn kind(event: &Value) -> &str {
    let kind = event["type"].as_str().unwrap();
    kind.strip_prefix("pointsman.").unwrap()
}

/// Asserts that the document has the event's type, and each of its data in its example.
pub(crate) fn assert_documented(event: &Value) {
    let kind = kind(event);
    let Some(example) = EXAMPLES.get(kind) else {
        panic!("docs/bus.md does not have {event}");
    };
    let data = event["data"].as_object().unwrap();
    if kind.ends_with(".changed") && is_open(kind) {
        for change in data.values() {
            assert!(
                change.get("from").is_some() && change.get("to").is_some(),
                "{event}"
            );
        }
    }
    if is_open(kind) {
        return;
    }
    for (key, value) in data {
        let Some(shown) = example.get(key) else {
            panic!("docs/bus.md does not have {key} of {event}");
        };
        let alike = value.is_null() || discriminant(value) == discriminant(shown);
        assert!(alike, "docs/bus.md has {key}: {shown}, and not {event}");
    }
}

/// Asserts that these events are all that the document has but `others`, and that every key of
/// an example came in one of them; `others` may name a key behind its type. Of a configuration not all keys are shown.
pub(crate) fn assert_all_came(events: &[&Value], others: &[&str]) {
    let mut came: BTreeMap<&str, Vec<BTreeSet<&str>>> = BTreeMap::new();
    for event in events {
        assert_documented(event);
        let data = event["data"].as_object().unwrap();
        let keys = data.keys().map(String::as_str).collect();
        came.entry(kind(event)).or_default().push(keys);
    }
    for (kind, example) in &*EXAMPLES {
        if others.contains(kind) {
            continue;
        }
        let Some(came) = came.get(kind) else {
            panic!("docs/bus.md has {kind}, which did not come");
        };
        let is_other = |key: &&str| others.contains(&&*format!("{kind} {key}"));
        let shown = example.keys().map(String::as_str);
        let shown: BTreeSet<&str> = shown.filter(|key| !is_other(key)).collect();
        let found = if is_open(kind) {
            came.iter().any(|came| shown.is_subset(came))
        } else {
            shown == came.iter().flatten().copied().collect()
        };
        assert!(
            found,
            "docs/bus.md has {kind} with {shown:?}, came: {came:?}"
        );
    }
}
