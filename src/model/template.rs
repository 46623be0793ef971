//! A text with `{placeholders}` that are filled in later.
//! It must not know what the text is for, nor how what is filled in is to be escaped.

/// A text with `{placeholders}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(&'static str),
}

impl Template {
    /// Reads `text`, in which a brace opens or closes one of the `known` placeholders.
    ///
    /// # Errors
    /// What is no placeholder, and which there are.
    pub fn parse(text: &str, known: &[&'static str]) -> Result<Self, String> {
        let there_are = || {
            let known: Vec<_> = known.iter().map(|name| format!("{{{name}}}")).collect();
            known.join(" and ")
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!(
                    "a {{ without a }}; the placeholders are {}",
                    there_are()
                ));
            };
            let Some(hole) = known.iter().find(|known| **known == name) else {
                let message = format!(
                    "{{{name}}} is unknown; the placeholders are {}",
                    there_are()
                );
                return Err(message);
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Hole(hole));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let stray = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
        if parts.iter().any(stray) {
            return Err(format!(
                "a }} without a {{; the placeholders are {}",
                there_are()
            ));
        }
        Ok(Self(parts))
    }

    /// Whether the placeholder stands in it.
    pub fn has(&self, name: &str) -> bool {
        let is_it = |part: &Part| matches!(part, Part::Hole(hole) if *hole == name);
        self.0.iter().any(is_it)
    }

    /// The text with what `fill` gives for each placeholder, as it is.
    pub fn fill(&self, fill: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hole(name) => fill(name),
        };
        self.0.iter().map(part).collect()
    }

    /// What stands right before each place of this placeholder.
    pub fn before<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.windows(2).filter_map(move |pair| match pair {
            [Part::Text(text), Part::Hole(hole)] if *hole == name => Some(text.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["user", "dn"];

    #[test]
    fn placeholders_are_filled_and_what_is_filled_in_is_not_read_again() {
        let template = Template::parse("(|(member={dn})(uid={user}))", KNOWN).unwrap();
        let filled = template.fill(|name| format!("{{dn}}{name}"));
        assert_eq!(filled, "(|(member={dn}dn)(uid={dn}user))");
        assert!(template.has("dn") && template.has("user"));
        assert_eq!(template.before("user").collect::<Vec<_>>(), [")(uid="]);
        let plain = Template::parse("", KNOWN).unwrap();
        assert_eq!(plain.fill(|_| unreachable!()), "");
    }

    #[test]
    fn what_is_no_placeholder_is_named() {
        for (text, named) in [
            ("{usr}", "{usr}"),
            ("{user", "{ without"),
            ("user}", "} without"),
            ("{user}}", "} without"),
            ("{{user}}", "{{user}"),
            ("{}", "{} is unknown"),
        ] {
            let error = Template::parse(text, KNOWN).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
            assert!(error.ends_with("{user} and {dn}"), "{error}");
        }
    }
}
