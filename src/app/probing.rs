//! What the settings give to probes: programs to run, certificates to trust.
//! It must not run or read any of them.

use crate::{
    config::Settings,
    health::{Means, Program},
};

/// What `settings` give, under the bound of `before` on programs that run at once.
pub(super) fn means(before: &Means, settings: &Settings) -> Means {
    let programs = settings.programs.iter().map(|(name, program)| {
        let program = Program {
            file: program.command.file(),
            arguments: program.command.arguments().to_vec(),
            timeout: program.timeout.duration(),
        };
        (name.clone(), program)
    });
    let certificates = settings.certificates.iter();
    let authorities =
        certificates.map(|(name, certificate)| (name.clone(), certificate.cert_file.clone()));
    let mut means = before.clone();
    means.programs = programs.collect();
    means.authorities = authorities.collect();
    means
}
