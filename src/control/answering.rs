//! Commands that change nothing, as the control task answers them.
//! It must not change anything; what it leaves behind is recorded before it answers.

use super::{
    answer::Answer,
    controller::Controller,
    outside::Told,
    pipeline::{Asked, now, reply},
    query,
    record::Entry,
};
use crate::model::policy::authorize;

impl Controller {
    /// Answers what changes nothing. Refusals are written down, answers are not.
    pub(super) fn answer(&mut self, asked: Asked) {
        let authorized = authorize(&asked.principal, asked.request.command.clone(), None);
        let found = asked.before.as_deref().unwrap_or_default();
        let told =
            authorized.and_then(|authorized| query::answer(&mut self.pipeline, &authorized, found));
        match told {
            Ok(told) => self.tell(asked, told),
            Err(error) => self.pipeline.refuse(asked, error),
        }
    }

    /// Answers with what was found, after what it leaves behind is recorded.
    fn tell(&mut self, asked: Asked, Told { data, events, keep }: Told) {
        let revision = self.pipeline.state.revision;
        let (diff, data) = query::split(data);
        let answer = Answer::done(asked.id, revision, diff, data);
        let once = asked.once;
        if events.is_empty() && keep.is_empty() && once.is_none() {
            return reply(asked.reply, answer);
        }
        let entry = Entry {
            time: now(),
            events,
            keep,
            answered: once.map(|once| once.answered(answer.to_text())),
            ..Entry::default()
        };
        let answer = match self.pipeline.record_entry(entry) {
            Ok(()) => answer,
            Err(error) => Answer::refused(answer.id, revision, error),
        };
        reply(asked.reply, answer);
    }
}
