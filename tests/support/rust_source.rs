//! Reads Rust source text as far as `layering` needs: its paths, its lines, its modules.
//! It must not know what is allowed.

/// A path as it stands in the code, groups taken apart, and the inline modules that it stands in.
pub(crate) struct CodePath {
    /// Its segments.
    pub(crate) segments: Vec<String>,
    inside: Vec<String>,
}

impl CodePath {
    /// The path from the root of our crate; `None` when it does not lead there.
    pub(crate) fn resolve(&self, home: &[String]) -> Option<Vec<String>> {
        let here = [home, &self.inside].concat();
        let mut absolute = match self.segments[0].as_str() {
            "crate" | "pointsman" => Vec::new(),
            "super" => here[..here.len().saturating_sub(1)].to_vec(),
            "self" => here,
            _ => return None,
        };
        for segment in &self.segments[1..] {
            match segment.as_str() {
                "super" => drop(absolute.pop()),
                "self" => {}
                _ => absolute.push(segment.clone()),
            }
        }
        Some(absolute)
    }
}

/// Every path in `code`: in imports, types and expressions alike.
pub(crate) fn paths(code: &str) -> Vec<CodePath> {
    let tokens = tokens(code);
    let (mut found, mut inside, mut depth, mut at) = (Vec::new(), Vec::new(), 0, 0);
    while at < tokens.len() {
        match tokens[at] {
            "mod" if tokens.get(at + 2) == Some(&"{") => {
                inside.push((tokens[at + 1].to_owned(), depth));
                at += 1;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inside.pop_if(|(_, outside)| *outside == depth);
            }
            // A visibility, or the receiver of a method: no path.
            "crate" | "super" | "self" if !matches!(tokens.get(at + 1), Some(&("::" | "as"))) => {}
            word if is_word(word) => {
                let mut all = Vec::new();
                at = expand(&tokens, at, &[], &mut all);
                let inside: Vec<_> = inside.iter().map(|(name, _)| name.clone()).collect();
                found.extend(all.into_iter().map(|segments| {
                    let inside = inside.clone();
                    CodePath { segments, inside }
                }));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Takes apart the path at `at`, which continues `prefix`; returns where it ends.
fn expand(tokens: &[&str], mut at: usize, prefix: &[String], all: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        match tokens[at] {
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    let next = expand(tokens, at, &path, all);
                    at = next.max(at + 1);
                    // Past `as name` and the comma.
                    while at < tokens.len() && !matches!(tokens[at - 1], ",") && tokens[at] != "}" {
                        at += 1;
                    }
                }
                return at + 1;
            }
            word if is_word(word) || word == "*" => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        all.push(path);
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let length = match first {
            _ if word > 0 => word,
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

/// How many `mod name;` there are in `code`.
pub(crate) fn declared_modules(code: &str) -> usize {
    tokens(code)
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .count()
}

/// `source` with comments turned into spaces and literals into quotes; lines stay lines.
pub(crate) fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let starts = |at: usize, text: &str| {
        text.chars()
            .eq(chars[at..].iter().copied().take(text.len()))
    };
    let mut code = String::new();
    let mut at = 0;
    while at < chars.len() {
        let (end, filler) = if starts(at, "//") {
            let length = chars[at..].iter().position(|c| *c == '\n');
            (length.map_or(chars.len(), |length| at + length), ' ')
        } else if starts(at, "/*") {
            (end_of_comment(&starts, at, chars.len()), ' ')
        } else if chars[at] == '"' {
            let hashes = chars[..at].iter().rev().take_while(|c| **c == '#').count();
            let raw = at > hashes && chars[at - hashes - 1] == 'r';
            let close = format!("\"{}", "#".repeat(if raw { hashes } else { 0 }));
            let mut end = at + 1;
            while end < chars.len() && !starts(end, &close) {
                end += if chars[end] == '\\' && !raw { 2 } else { 1 };
            }
            (end + close.len(), '"')
        } else if chars[at] == '\'' && chars.get(at + 1) == Some(&'\\') {
            let length = chars[at + 3..].iter().position(|c| *c == '\'').unwrap_or(0);
            (at + 3 + length + 1, '"')
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            (at + 3, '"')
        } else {
            code.push(chars[at]);
            at += 1;
            continue;
        };
        let end = end.min(chars.len());
        code.extend(
            chars[at..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { filler }),
        );
        at = end;
    }
    code
}

fn end_of_comment(starts: &impl Fn(usize, &str) -> bool, begin: usize, length: usize) -> usize {
    let (mut at, mut depth) = (begin + 2, 1);
    while at < length && depth > 0 {
        match () {
            () if starts(at, "/*") => (depth, at) = (depth + 1, at + 2),
            () if starts(at, "*/") => (depth, at) = (depth - 1, at + 2),
            () => at += 1,
        }
    }
    at
}

/// `code`, whose comments and literals are blanked, without what is `#[cfg(test)]`.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        kept.push_str(before);
        let mut depth = 0;
        let end = after.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0 && matches!(c, '}' | ';')
        });
        rest = end.map_or("", |(at, _)| &after[at + 1..]);
    }
    kept + rest
}
