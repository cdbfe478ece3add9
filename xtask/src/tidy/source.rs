//! Reads Rust source just well enough for the rules: finds comments and the boundaries of words.

/// Returns `text` with every comment (doc comments included) replaced by blanks; line numbers stay.
/// String literals stay: a word in a string is a word in the code.
pub(super) fn without_comments(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let rest = (at(i), at(i + 1));
        let end = match rest {
            ('/', '/') => find(&chars, i, |k| at(k) == '\n'),
            ('/', '*') => block_comment_end(&chars, i),
            _ => i,
        };
        if end > i {
            out.extend(chars[i..end].iter().filter(|c| **c == '\n'));
            i = end;
            continue;
        }
        let end = match rest {
            ('"', _) => string_end(&chars, i),
            ('r', '"' | '#') if i == 0 || !is_word(at(i - 1)) || at(i - 1) == 'b' => {
                raw_string_end(&chars, i)
            }
            // A character literal could open a string or a comment. A lifetime never contains such
            // a character.
            ('\'', '\\') => (i + 3).min(chars.len()),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i + 1,
        };
        out.extend(&chars[i..end]);
        i = end;
    }
    out
}

/// Returns `text`, which has no comments, without the contents of string and character literals;
/// line numbers stay.
pub(super) fn without_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('"', _) => string_end(&chars, i),
            ('r', '"' | '#') if i == 0 || !is_word(at(i - 1)) || at(i - 1) == 'b' => {
                raw_string_end(&chars, i)
            }
            ('\'', '\\') => (i + 4).min(chars.len()),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i + 1,
        };
        if end > i + 1 {
            out.push_str("\"\"");
            out.extend(chars[i..end].iter().filter(|c| **c == '\n'));
        } else {
            out.push(at(i));
        }
        i = end;
    }
    out
}

/// Returns whether `name` is an identifier.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_word)
}

/// Returns whether `line` contains `word`, not as a part of a longer word.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let first_is_word = word.chars().next().is_some_and(is_word);
    let last_is_word = word.chars().last().is_some_and(is_word);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !(first_is_word && before.is_some_and(is_word)
            || last_is_word && after.is_some_and(is_word))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..chars.len())
        .find(|k| stop(*k))
        .unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = start;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"` or `r#"…"#`. For another `r`, the position after it.
fn raw_string_end(chars: &[char], start: usize) -> usize {
    let quote = find(chars, start + 1, |k| chars[k] != '#');
    if chars.get(quote) != Some(&'"') {
        return start + 1;
    }
    let hashes = quote - start - 1;
    let closes = |k: usize| chars[k] == '"' && (1..=hashes).all(|h| chars.get(k + h) == Some(&'#'));
    let end = find(chars, quote + 1, closes);
    (end + 1 + hashes).min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_stay() {
        let text = "a // x\nb /* x\n/* x */ x */ c\n/// x\nd";
        assert_eq!(without_comments(text), "a \nb \n c\n\nd");
    }

    #[test]
    fn what_looks_like_a_comment_in_a_literal_stays() {
        for text in [
            "\"a // b\" c",
            "r#\"a \" // b\"# c",
            "'\"' // x",
            "b'\\'' d",
            "\"\\\" // b\" c",
            "&'a x",
        ] {
            let expected = text.trim_end_matches("// x");
            assert_eq!(without_comments(text), expected);
        }
    }

    #[test]
    fn literals_lose_their_insides() {
        let text = "f(\"}\n\\\"{\", '{', '\\'', r#\"}\"#, &'a x)";
        assert_eq!(without_literals(text), "f(\"\"\n, \"\", \"\", \"\", &'a x)");
    }

    #[test]
    fn words_end_where_words_end() {
        assert!(has_word("x abc y", "abc"));
        assert!(has_word("abc", "abc"));
        assert!(!has_word("xabc", "abc"));
        assert!(!has_word("abc1", "abc"));
        assert!(has_word("xabc!(1)", "bc!(") == has_word("xbc!(", "bc!("));
        assert!(has_word("bc!(1)", "bc!("));
    }
}
