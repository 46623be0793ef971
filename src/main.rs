//! The program `pointsman`: hands the command line to [`pointsman::cli`] and exits with its code.
//! It must not do anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::main()
}
