//! As much of Rust as the rules need: code apart from comments and strings, and without what is compiled for tests only.

/// A Rust file taken apart.
#[derive(Debug, Default)]
pub struct Source {
    /// The code. Comments are gone, strings are empty, lines are where they were.
    pub code: String,
    /// Comments, with the line that each begins in, counted from 1.
    pub comments: Vec<(usize, String)>,
    /// Contents of string literals, with their lines.
    pub strings: Vec<(usize, String)>,
}

/// Takes a file apart.
pub fn source(text: &str) -> Source {
    let chars: Vec<char> = text.chars().collect();
    let mut source = Source::default();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let end = if rest.starts_with(&['/', '/']) {
            let end = at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            source.comments.push((line, chars[at..end].iter().collect()));
            end
        } else if rest.starts_with(&['/', '*']) {
            let end = at + block_comment(rest);
            source.comments.push((line, chars[at..end].iter().collect()));
            end
        } else if let Some((open, close)) = string(rest).filter(|_| at == 0 || !is_name(chars[at - 1])) {
            let inner = rest[open..].windows(close.len()).position(|window| window == close.as_slice());
            let inner = match close.len() {
                1 => escaped_end(&rest[open..]),
                _ => inner.unwrap_or(rest.len() - open),
            };
            source.strings.push((line, rest[open..open + inner].iter().collect()));
            source.code.push_str("\"\"");
            (at + open + inner + close.len()).min(chars.len())
        } else if let Some(length) = character(rest) {
            source.code.push_str("' '");
            at + length
        } else {
            if rest[0] != '\n' {
                source.code.push(rest[0]);
            }
            at + 1
        };
        let lines = chars[at..end].iter().filter(|c| **c == '\n').count();
        source.code.extend(std::iter::repeat_n('\n', lines));
        line += lines;
        at = end;
    }
    source
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of what opens a string here, and what closes it.
fn string(rest: &[char]) -> Option<(usize, Vec<char>)> {
    let mut at = rest.iter().take_while(|c| ['b', 'c'].contains(c)).take(1).count();
    if rest.get(at) == Some(&'"') {
        return Some((at + 1, vec!['"']));
    }
    if rest.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = rest[at..].iter().take_while(|c| **c == '#').count();
    at += hashes;
    let close = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect::<Vec<_>>();
    // A raw string without hashes has no escapes, but neither has it quotes: the rule of plain strings ends it as well.
    (rest.get(at) == Some(&'"')).then_some((at + 1, close))
}

fn escaped_end(rest: &[char]) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at.min(rest.len())
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(rest: &[char]) -> Option<usize> {
    match rest {
        ['\'', '\\', ..] => rest.iter().skip(3).position(|c| *c == '\'').map(|end| end + 4),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

/// `code` without every item behind `#[cfg(test)]`, and the names of the module files that are such items.
pub fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut kept, mut rest, mut files) = (String::new(), code, Vec::new());
    while let Some(begin) = rest.find(MARK) {
        kept.push_str(&rest[..begin]);
        let item = &rest[begin + MARK.len()..];
        let (mut depth, mut end) = (0_i32, item.len());
        for (at, c) in item.char_indices() {
            depth += i32::from("{([".contains(c)) - i32::from("})]".contains(c));
            if depth == 0 && (c == '}' || c == ';') {
                // A list in braces is closed before the declaration ends.
                let behind = &item[at + 1..];
                end = if behind.trim_start().starts_with(';') {
                    at + 1 + behind.find(';').unwrap_or_default() + 1
                } else {
                    at + 1
                };
                break;
            }
        }
        if let Some(name) =
            item[..end].trim_end_matches(';').split("mod ").nth(1).filter(|_| item[..end].ends_with(';'))
        {
            files.push(name.trim().to_owned());
        }
        rest = &item[end..];
    }
    kept.push_str(rest);
    (kept, files)
}

#[test]
fn code_comments_and_strings_are_told_apart() {
    let source = source(
        "let a = \"// no \\\" comment\"; // a comment\n/* two\n/* lines */ */ let b = r#\"raw \"quoted\"\"#; 'x'; &'a str",
    );
    assert_eq!(source.code, "let a = \"\"; \n\n let b = \"\"; ' '; &'a str");
    assert_eq!(source.comments, [(1, "// a comment".to_owned()), (2, "/* two\n/* lines */ */".to_owned())]);
    assert_eq!(source.strings, [(1, "// no \\\" comment".to_owned()), (3, "raw \"quoted\"".to_owned())]);
}

#[test]
fn what_is_compiled_for_tests_only_is_left_out() {
    let code = "fn a() {}\n#[cfg(test)]\nuse x::{y, z};\n#[cfg(test)]\n#[path = \"\"]\nmod tests;\n#[cfg(test)]\nmod more { fn b() { } }\nfn c() {}";
    let (kept, files) = without_tests(code);
    assert_eq!(kept.split_whitespace().collect::<Vec<_>>().join(" "), "fn a() {} fn c() {}");
    assert_eq!(files, ["tests"]);
}
