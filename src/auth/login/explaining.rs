//! What somebody could do, and why: for the administrator who asks.
//! It must not ask for a password, nor let anybody in.

use super::{
    super::{
        Accepted, Steps,
        backends::{BREAK_GLASS, Backends},
    },
    Arc, Fallback, Logins, Outcome, Rule, User, live, rules,
};

impl Logins {
    /// What backends know of `user` without a password, and what the rules make of it, in
    /// sentences, of which the first is the verdict. Asks directories; takes at most the time for
    /// a log-in.
    pub async fn look_up(&self, user: &str) -> Vec<String> {
        let (backends, rules, deadline, fallback) = {
            let inner = self.inner();
            let options = &inner.options;
            let rules = options.rules.clone();
            let backends = Arc::clone(&inner.backends);
            (backends, rules, options.deadline, options.fallback)
        };
        if super::super::plausible(user, super::super::MAX_INPUT).is_err() {
            return vec!["nobody can have that name".to_owned()];
        }
        let known = self.known(&backends, user, deadline).await;
        let spare = usize::from(backends.find(BREAK_GLASS).is_some());
        let asked = known.get(..known.len() - spare).unwrap_or_default();
        let mut sentences = vec![verdict(user, asked, fallback, &rules)];
        for (by, outcome) in known {
            match outcome {
                Outcome::Accepted(accepted) => {
                    sentences.push(knows(by, &accepted));
                    if accepted.rights.is_none() {
                        sentences.push(rules::explain(&rules, &accepted));
                    }
                }
                Outcome::Rejected(because) => sentences.push(format!("{by}: {because}")),
                Outcome::Unavailable(because) => {
                    sentences.push(format!("{by} cannot tell: {because}"));
                    let by_name = rules::explain(&rules, &Accepted::named(user));
                    sentences.push(format!("by the name alone, {by_name}"));
                }
                Outcome::Challenge(_) => sentences.push(format!("{by} asks for more")),
            }
        }
        sentences
    }

    async fn known(
        &self,
        backends: &Backends,
        user: &str,
        deadline: std::time::Duration,
    ) -> Vec<(&'static str, Outcome)> {
        let (end, steps) = (tokio::time::Instant::now() + deadline, Steps::unheard());
        let mut known = Vec::new();
        for member in backends.iter() {
            let outcome = member.look_up(user, end, &steps).await;
            known.push((member.kind(), outcome));
        }
        known
    }

    /// What `user` could do and why, the verdict first: `found` is what [`Self::look_up`] found.
    pub fn explain_access(&self, user: &str, found: &[String]) -> Vec<String> {
        let inner = self.inner();
        let mut sentences = found.to_vec();
        let listed = |listed: &User| listed.name == user;
        if inner.backends.iter().all(|member| member.kind() != "local")
            && inner.options.users.iter().any(listed)
        {
            sentences.push("local users may not log in: backends does not list local".to_owned());
        }
        let now = self.clock.now();
        for login in live(&inner.table, now).filter(|login| login.user == user) {
            sentences.push(format!(
                "logged in as {} from {} by {}, login {}",
                login.role, login.from, login.by, login.id
            ));
        }
        sentences
    }
}

/// Whether `user` may log in, in one sentence: as at a log-in, the first of `known` that can tell
/// decides, and the next is only asked where there is a fallback.
fn verdict(
    user: &str,
    known: &[(&'static str, Outcome)],
    fallback: Fallback,
    rules: &[Rule],
) -> String {
    let silent = |outcome: &Outcome| matches!(outcome, Outcome::Unavailable(_));
    let first = known.first();
    let heard = known.iter().find(|(_, outcome)| !silent(outcome));
    let decides = match fallback {
        Fallback::None => first,
        Fallback::Next | Fallback::LocalBreakGlass => heard.or(first),
    };
    let Some((by, outcome)) = decides else {
        return format!("{user} may not log in: nobody is asked, for backends is empty");
    };
    let if_silent = match (first, heard) {
        (Some((silent, _)), Some((heard, _))) if silent != heard && by == heard => {
            format!(", as long as {silent} cannot tell")
        }
        (Some(_), Some(_)) | (None, _) | (_, None) => String::new(),
    };
    match outcome {
        Outcome::Accepted(accepted) => {
            let judgement = rules::judge(rules, accepted);
            match judgement.rights {
                Some(rights) => format!(
                    "{user} may log in as {} because of {}, if {by} takes the password{if_silent}",
                    rights.sentence(),
                    judgement.because
                ),
                None => {
                    format!("{user} may not log in: {by} knows them, but no rule is about them")
                }
            }
        }
        Outcome::Rejected(because) => {
            format!("{user} may not log in: {by} says {because}{if_silent}")
        }
        Outcome::Unavailable(because) => format!(
            "whether {user} may log in is not known: {by} decides, and cannot tell now ({because})"
        ),
        Outcome::Challenge(_) => {
            format!("whether {user} may log in is not known: {by} asks for more")
        }
    }
}

fn knows(by: &str, accepted: &Accepted) -> String {
    let (user, groups) = (&accepted.user, &accepted.groups);
    let mut sentence = format!("{by} knows {user}");
    if let Some(rights) = &accepted.rights {
        sentence = format!("{sentence}, with the role {}", rights.sentence());
    }
    if !groups.is_empty() {
        sentence = format!("{sentence}, in {}", groups.join("; "));
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Matcher, Rights};
    use crate::model::principal::{Role, Scope};

    fn away() -> Outcome {
        Outcome::Unavailable("it does not answer".to_owned())
    }

    #[test]
    fn the_verdict_says_who_decides_and_why() {
        let rules = [Rule {
            matcher: Matcher::User("ada".to_owned()),
            rights: Rights {
                role: Role::Operator,
                services: Scope::new(vec!["web*".to_owned()]),
            },
        }];
        let known = |user: &str| Outcome::Accepted(Accepted::named(user));
        let gone = || Outcome::Rejected("there is no such user".to_owned());
        for (user, known, fallback, sentence) in [
            (
                "ada",
                vec![("ldap", known("ada"))],
                Fallback::None,
                "ada may log in as operator on services web* because of rule 1 (user ada), \
                 if ldap takes the password",
            ),
            (
                "eve",
                vec![("ldap", known("eve"))],
                Fallback::None,
                "eve may not log in: ldap knows them, but no rule is about them",
            ),
            (
                "eve",
                vec![("ldap", gone()), ("local", known("ada"))],
                Fallback::Next,
                "eve may not log in: ldap says there is no such user",
            ),
            (
                "ada",
                vec![("ldap", away()), ("local", known("ada"))],
                Fallback::None,
                "whether ada may log in is not known: ldap decides, and cannot tell now \
                 (it does not answer)",
            ),
            (
                "ada",
                vec![("ldap", away()), ("local", known("ada"))],
                Fallback::Next,
                "ada may log in as operator on services web* because of rule 1 (user ada), \
                 if local takes the password, as long as ldap cannot tell",
            ),
            (
                "ada",
                vec![],
                Fallback::None,
                "ada may not log in: nobody is asked, for backends is empty",
            ),
        ] {
            assert_eq!(verdict(user, &known, fallback, &rules), sentence);
        }
    }
}
