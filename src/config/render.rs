//! Writes services as the file has them.
//! It must not keep comments or order of a file that exists.

use crate::model::topology::Topology;

/// `topology` as TOML; [`super::parse`] reads the same from it again.
///
/// Having no service at all is written out as `service = []`, which `parse` takes for what is
/// meant, while a file without the key is taken for a mistake.
pub fn render(topology: &Topology) -> String {
    // TOML can express every value of these types; the property test below holds it to that.
    #[expect(clippy::expect_used, reason = "not reachable from what anyone writes")]
    toml::to_string(topology).expect("a topology is tables, lists, texts and numbers")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::samples::topology;

    proptest! {
        #[test]
        fn what_is_rendered_reads_back_the_same(topology in topology()) {
            let text = render(&topology);
            let config = crate::config::parse(&text);
            let config = config.map_err(|problems| TestCaseError::fail(format!("{problems:?}\n{text}")))?;
            prop_assert_eq!(config.topology, topology);
        }
    }
}
