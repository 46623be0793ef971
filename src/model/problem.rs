//! What is wrong with a configuration, and where: the shape in which every complaint is made.
//! It must not know files; lines are filled in by whoever read one.

use std::fmt;

use super::name::Name;

/// One step of the way to a value: a key, or an item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// An item of a list: its index, from 0.
    Item(usize),
}

/// The way to a value of the configuration, and the names of what lies on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    steps: Vec<Step>,
    shown: String,
}

impl Place {
    /// The configuration itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value under `key`.
    pub fn key(&self, key: &str) -> Self {
        let mut place = self.clone();
        place.steps.push(Step::Key(key.to_owned()));
        if !place.shown.is_empty() {
            place.shown.push('.');
        }
        place.shown.push_str(key);
        place
    }

    /// Item `index` of the list here, by its number.
    pub fn item(&self, index: usize) -> Self {
        let mut place = self.clone();
        place.steps.push(Step::Item(index));
        place.shown.push_str(&format!("[{index}]"));
        place
    }

    /// Item `index` of the list here, shown by its name.
    pub fn named(&self, index: usize, name: &Name) -> Self {
        let mut place = self.clone();
        place.steps.push(Step::Item(index));
        place.shown.push_str(&format!(".{name}"));
        place
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

/// One thing that is wrong: `service.web.group.blue.host.w1.weight: 300 is more than 256`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which value is wrong.
    pub place: Place,
    /// Where it stands, counted from 1, where that is known.
    pub line: Option<usize>,
    /// What is wrong with it: a lower-case sentence.
    pub message: String,
}

impl Problem {
    /// A problem whose line is not known (yet).
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.to_string();
        match place.as_str() {
            "" => write!(f, "{}", self.message),
            _ => write!(f, "{place}: {}", self.message),
        }
    }
}
