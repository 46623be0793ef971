//! Which role somebody gets: ordered rules, of which the first that matches counts.
//! It must not ask a backend; it judges by what one said.

use serde::{Deserialize, Serialize};

use super::Accepted;
use crate::model::{
    dn::Dn,
    principal::{Role, Scope},
};

/// What somebody may do, and on which services.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Rights {
    /// What.
    pub role: Role,
    /// On which services.
    pub services: Scope,
}

impl Rights {
    /// `operator on services web-*`
    pub fn sentence(&self) -> String {
        if self.services.is_all() {
            return format!("{} on all services", self.role);
        }
        let globs = self.services.globs().join(", ");
        format!("{} on services {globs}", self.role)
    }
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// The user of this name, spelt as the backend spells it.
    User(String),
    /// Whoever is in the group of this name.
    Group(Dn),
    /// Whoever RADIUS hands out this value for, byte for byte.
    Radius(String),
}

impl Matcher {
    fn matches(&self, accepted: &Accepted) -> bool {
        match self {
            Self::User(user) => *user == accepted.user,
            Self::Group(group) => accepted.groups.iter().any(|member| group.is(member)),
            Self::Radius(value) => accepted.values.contains(value),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::User(user) => format!("user {user}"),
            Self::Group(group) => format!("group {}", group.as_str()),
            Self::Radius(value) => format!("radius {value}"),
        }
    }
}

/// Who matches gets these rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is about.
    pub matcher: Matcher,
    /// What they get.
    pub rights: Rights,
}

/// What the rules, or the user's own entry, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// What they may do; `None` is no access.
    pub(super) rights: Option<Rights>,
    /// Why, for the audit trail; never for the person at the door.
    pub(super) because: String,
}

/// What somebody who was accepted may do.
pub(super) fn judge(rules: &[Rule], accepted: &Accepted) -> Judgement {
    if let Some(own) = &accepted.rights {
        return Judgement {
            rights: Some(own.clone()),
            because: "their own entry".to_owned(),
        };
    }
    let found = (1..)
        .zip(rules)
        .find(|(_, rule)| rule.matcher.matches(accepted));
    match found {
        Some((number, rule)) => Judgement {
            rights: Some(rule.rights.clone()),
            because: format!("rule {number} ({})", rule.matcher.sentence()),
        },
        None => Judgement {
            rights: None,
            because: "no rule matches".to_owned(),
        },
    }
}

/// What the rules would give to somebody of whom this is known.
pub(super) fn explain(rules: &[Rule], accepted: &Accepted) -> String {
    let (judgement, user) = (judge(rules, accepted), &accepted.user);
    match judgement.rights {
        Some(rights) => format!(
            "{} gives {user} the role {}",
            judgement.because,
            rights.sentence()
        ),
        None => format!("no rule matches {user}: no access"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(user: &str, role: Role, services: &[&str]) -> Rule {
        let globs = services.iter().map(ToString::to_string).collect();
        Rule {
            matcher: Matcher::User(user.to_owned()),
            rights: Rights {
                role,
                services: Scope::new(globs),
            },
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = [
            rule("bob", Role::Admin, &["*"]),
            rule("ada", Role::Viewer, &["web-*"]),
            rule("ada", Role::Admin, &["*"]),
        ];
        let judgement = judge(&rules, &Accepted::named("ada"));
        assert_eq!(judgement.rights, Some(rules[1].rights.clone()));
        assert_eq!(judgement.because, "rule 2 (user ada)");
    }

    #[test]
    fn who_matches_no_rule_has_no_access() {
        let rules = [rule("ada", Role::Admin, &["*"])];
        for user in ["bob", "Ada", "ada ", "", "*"] {
            assert_eq!(judge(&rules, &Accepted::named(user)).rights, None, "{user}");
        }
        assert_eq!(judge(&[], &Accepted::named("ada")).rights, None);
    }

    #[test]
    fn a_users_own_rights_count_before_any_rule() {
        let rules = [rule("ada", Role::Admin, &["*"])];
        let own = rule("ada", Role::Viewer, &["db"]).rights;
        let accepted = Accepted {
            rights: Some(own.clone()),
            ..Accepted::named("ada")
        };
        assert_eq!(judge(&rules, &accepted).rights, Some(own));
    }

    #[test]
    fn an_explanation_names_the_rule_and_the_scope() {
        let rules = [rule("ada", Role::Operator, &["web-*", "db"])];
        assert_eq!(
            explain(&rules, &Accepted::named("ada")),
            "rule 1 (user ada) gives ada the role operator on services web-*, db"
        );
        let eve = Accepted::named("eve");
        assert_eq!(explain(&rules, &eve), "no rule matches eve: no access");
    }

    #[test]
    fn a_group_matches_by_its_name_and_a_value_by_its_bytes() {
        let group = Dn::parse("cn=lb-admins,ou=groups,dc=example,dc=org").unwrap();
        let mut rules = [
            rule("x", Role::Admin, &["*"]),
            rule("x", Role::Viewer, &["*"]),
        ];
        rules[0].matcher = Matcher::Group(group);
        rules[1].matcher = Matcher::Radius("lb-viewer".to_owned());
        let role = |groups: &[&str], values: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
            let accepted = Accepted {
                groups: owned(groups),
                values: owned(values),
                ..Accepted::named("ada")
            };
            judge(&rules, &accepted).rights.map(|rights| rights.role)
        };
        let admins = "CN=lb-admins, OU=Groups, DC=example, DC=org";
        assert_eq!(role(&["cn=other", admins], &[]), Some(Role::Admin));
        assert_eq!(role(&[admins], &["lb-viewer"]), Some(Role::Admin));
        assert_eq!(role(&["cn=other"], &["x", "lb-viewer"]), Some(Role::Viewer));
        for wrong in ["LB-Viewer", "lb-viewer ", "lb-viewer\0", admins] {
            assert_eq!(role(&["lb-viewer"], &[wrong]), None, "{wrong}");
        }
    }
}
