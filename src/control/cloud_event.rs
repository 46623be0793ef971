//! Recorded events as others see them: as CloudEvents, and only what they may see.
//! It must not know by which way they are sent.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::record::Recorded;
use crate::model::{
    event::{Category, Event},
    name::Name,
    principal::{Principal, Role},
};

/// The last millisecond that RFC 3339 can say.
const LAST: u64 = 253_402_300_799_999;

/// `recorded` as a CloudEvent 1.0, from the node `node` whose journal is `epoch`.
pub fn cloud_event(recorded: &Recorded, node: &Name, epoch: &str) -> Value {
    let Recorded {
        sequence,
        category_sequence,
        time,
        event,
    } = recorded;
    let time = UNIX_EPOCH + Duration::from_millis((*time).min(LAST));
    json!({
        "specversion": "1.0",
        "id": format!("{node}-{epoch}-{sequence}"),
        "epoch": epoch,
        "source": format!("/pointsman/{node}"),
        "type": format!("pointsman.{}", event.kind),
        "subject": event.subject,
        "time": humantime::format_rfc3339_millis(time).to_string(),
        "sequence": sequence.to_string(),
        "categorysequence": category_sequence.to_string(),
        "datacontenttype": "application/json",
        "data": event.data,
    })
}

/// What `principal` may see of `event`, if anything.
pub fn visible(event: &Event, principal: &Principal) -> Option<Event> {
    let all = principal.services.is_all();
    let covered = |path: &str| {
        let service = path.split('/').next().unwrap_or_default();
        let service = service.parse::<Name>();
        service.is_ok_and(|service| principal.services.covers(&service))
    };
    let seen = match event.category {
        Category::Admin => all && principal.role == Role::Admin,
        Category::Host | Category::Service => all || covered(&event.subject),
        Category::Node => true,
        Category::Config if all => true,
        Category::Config => return own_lines(event, covered),
    };
    seen.then(|| event.clone())
}

/// A change of the configuration with only the lines that are about what is `covered`. One
/// without any, or without lines at all, is not shown: it could be about anything.
fn own_lines(event: &Event, covered: impl Fn(&str) -> bool) -> Option<Event> {
    let mut event = event.clone();
    let lines = event.data.get_mut("diff")?.as_array_mut()?;
    // `~ web/blue/w1 weight: 5 → 2`
    let path = |line: &Value| line.as_str()?.split(' ').nth(1).map(str::to_owned);
    lines.retain(|line| path(line).is_some_and(|path| covered(&path)));
    (!lines.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::principal::{Door, Scope};

    fn scoped(role: Role, glob: &str) -> Principal {
        Principal {
            role,
            services: Scope::new(vec![glob.to_owned()]),
            ..Principal::part("ada", Door::Library)
        }
    }

    #[test]
    fn everybody_sees_what_is_in_their_scope_and_only_an_unscoped_admin_the_audit_trail() {
        let diff = json!({ "diff": ["~ web/blue/w1 weight: 5 → 2", "- db"] });
        let event = |kind: &str, subject: &str| Event::new(kind, subject, json!({}));
        let (all, web) = (scoped(Role::Admin, "*"), scoped(Role::Admin, "web*"));
        let viewer = scoped(Role::Viewer, "*");
        for (kind, subject, by_web, by_viewer) in [
            ("host.down", "web/blue/w1", true, true),
            ("host.down", "db/blue/w1", false, true),
            ("service.added", "web-2", true, true),
            ("group.activated", "db/blue", false, true),
            ("admin.command", "web", false, false),
            ("node.started", "lb1", true, true),
            ("config.changed", "42", false, true),
        ] {
            let event = event(kind, subject);
            assert!(visible(&event, &all).is_some(), "{kind}");
            assert_eq!(visible(&event, &web).is_some(), by_web, "{kind} {subject}");
            assert_eq!(visible(&event, &viewer).is_some(), by_viewer, "{kind}");
        }
        let changed = Event::new("config.changed", 42, diff);
        let seen = visible(&changed, &web).unwrap();
        assert_eq!(seen.data["diff"], json!(["~ web/blue/w1 weight: 5 → 2"]));
        assert_eq!(visible(&changed, &all), Some(changed));
    }

    #[test]
    fn no_time_is_too_late_for_a_cloud_event() {
        let recorded = Recorded {
            sequence: 42,
            category_sequence: 7,
            time: u64::MAX,
            event: Event::bare("host.down", "web/blue/w1"),
        };
        let event = cloud_event(&recorded, &"lb1".parse().unwrap(), "6f2c");
        assert_eq!(event["id"], "lb1-6f2c-42");
        assert_eq!(event["type"], "pointsman.host.down");
        assert_eq!(event["time"], "9999-12-31T23:59:59.999Z");
    }
}
