//! `pointsman run`: the balancer, until it is told to stop.
//! It must not return before sessions had their time.

use std::path::Path;

use super::{Exit, complain};
use crate::{
    app::{App, End, NodeError, StartError},
    config::{read, settings_of},
    control::balancer::ApplyError,
    journal::FILE as JOURNAL,
};

pub(super) fn run(file: &Path) -> Exit {
    // The services may be wrong, and yet there is something to run: the last good revision.
    let settings = match read(file).map(|config| config.settings) {
        Ok(settings) => settings,
        Err(error) => match settings_of(file) {
            Some(settings) if settings.node.state_dir.join(JOURNAL).exists() => settings,
            Some(_) | None => {
                complain(&error);
                return Exit::Invalid;
            }
        },
    };
    match App::start_node(file, settings) {
        Ok(app) => app.run(async |_| std::future::pending().await).into(),
        Err(error) => {
            complain(&error);
            exit_for(&error)
        }
    }
}

impl From<End> for Exit {
    fn from(end: End) -> Self {
        match end {
            End::Orderly => Self::Done,
            End::AtOnce(signal) => Self::Signal(signal),
        }
    }
}

pub(super) fn exit_for(error: &StartError) -> Exit {
    match error {
        StartError::Apply(ApplyError::Invalid(_)) | StartError::Node(NodeError::Config(_)) => {
            Exit::Invalid
        }
        StartError::Process(_)
        | StartError::Descriptors(_)
        | StartError::Node(_)
        | StartError::Apply(ApplyError::Refused(_)) => Exit::Failed,
    }
}
