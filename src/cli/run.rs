//! `pointsman run`: the balancer, until it is told to stop.
//! It must not return before sessions had their time.

use std::path::Path;

use super::{Exit, complain, complain_of_config};
use crate::{
    app::{App, End, NodeError, Predecessor, StartError},
    config::read,
    control::balancer::ApplyError,
};

pub(super) fn run(file: &Path) -> Exit {
    #[cfg(debug_assertions)]
    if let Ok(switch) = std::env::var("POINTSMAN_FAULT") {
        crate::control::fault::arm(&switch);
    }
    if let Some(predecessor) = Predecessor::of_this_process() {
        return match predecessor {
            Ok(predecessor) => take_over(file, &predecessor),
            Err(error) => {
                complain(&error);
                Exit::Failed
            }
        };
    }
    let started = match read(file) {
        Ok(config) => App::start_node(file, config.settings),
        // What ran is worth more than what cannot be read.
        Err(error) => match App::start_last_good(file) {
            Some(started) => started,
            None => {
                complain_of_config(&error);
                return Exit::Invalid;
            }
        },
    };
    match started {
        Ok(app) => app.run(async |_| std::future::pending().await).into(),
        Err(error) => {
            if let StartError::Node(NodeError::Config(error)) = &error {
                complain_of_config(error);
            } else {
                complain(&error);
            }
            exit_for(&error)
        }
    }
}

/// The same in the place of another process, which goes on where this one cannot.
fn take_over(file: &Path, predecessor: &Predecessor) -> Exit {
    let taken_over = match read(file) {
        Ok(config) => App::take_over(file, config.settings, predecessor)
            .map_err(|error| (error.to_string(), exit_for(&error))),
        Err(error) => Err((error.to_string(), Exit::Invalid)),
    };
    match taken_over {
        Ok(app) => app.run(async |_| std::future::pending().await).into(),
        Err((message, exit)) => {
            predecessor.refuse(&message);
            complain(&message);
            exit
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
        | StartError::Apply(ApplyError::Refused(_) | ApplyError::Descriptors(_)) => Exit::Failed,
    }
}
