//! Getting ready for a change: everything that the world can refuse, done unseen.
//! It must not leave a trace when what it gives is dropped.

use super::{
    outside::{PreparedFile, PreparedSettings},
    pipeline::Pipeline,
    reconcile::{PrepareError, Prepared},
};
use crate::{
    health::checker::Ready,
    model::{
        error::{Code, CommandError},
        state::State,
    },
};

/// What was done unseen, where something is to be done.
#[derive(Debug, Default)]
pub(super) struct PreparedChange {
    pub(super) runtime: Option<Prepared>,
    /// The probes that come with it or with the settings.
    pub(super) probes: Ready,
    /// The new text of the file.
    pub(super) text: Option<Box<dyn PreparedFile>>,
    /// Those that a reload takes in.
    pub(super) settings: Option<PreparedSettings>,
}

impl Pipeline {
    /// Does what the world can refuse, unseen. What nobody confirmed must not run on because
    /// somebody has edited the file: a timer leaves the file alone then, and goes on.
    pub(super) fn prepare(
        &mut self,
        next: &State,
        by_timer: bool,
    ) -> Result<PreparedChange, CommandError> {
        self.left_alone = None;
        let mut change = PreparedChange::default();
        if let (Some(_), Some(file)) = (&self.reloaded, &mut self.file) {
            change.settings = Some(file.prepare_settings()?);
        }
        if next.topology == self.state.topology && change.settings.is_none() {
            return Ok(change);
        }
        let failed = |error: PrepareError| CommandError::new(Code::Failed, error.to_string());
        let means = change.settings.as_ref().map(|settings| &settings.means);
        match self.balancer.prepare_probes(&next.topology, means) {
            Ok(probes) => change.probes = probes,
            // What nobody confirmed is undone all the same; its hosts stay as they are.
            Err(_) if by_timer => {}
            Err(error) => return Err(failed(error)),
        }
        if next.topology == self.state.topology {
            return Ok(change);
        }
        let runtime = self.balancer.prepare(next.topology.clone());
        change.runtime = Some(runtime.map_err(failed)?);
        change.text = match &mut self.file {
            // A reload takes in what the file says already.
            Some(file) if self.reloaded.is_none() => {
                match file.prepare(&next.topology, next.revision) {
                    Ok(written) => Some(written),
                    Err(error) if by_timer && error.code == Code::Conflict => {
                        self.left_alone = Some(error.message);
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
            Some(_) | None => None,
        };
        Ok(change)
    }
}
