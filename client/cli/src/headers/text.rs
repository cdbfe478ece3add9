//! Header lists as text: a field a line, as HTTP/1.1 writes them, and a blank line after each list.

use super::document::Field;

/// Reads the lists of a text.
///
/// # Errors
///
/// The line that is no field.
pub(super) fn read(text: &str) -> Result<Vec<Vec<Field>>, String> {
    let mut lists = Vec::new();
    let mut list = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            if !list.is_empty() {
                lists.push(std::mem::take(&mut list));
            }
            continue;
        }
        // A pseudo-header field begins with a colon.
        let colon = line.get(1..).and_then(|rest| rest.find(':'));
        let (name, value) = colon
            .and_then(|at| {
                Some((
                    line.get(..at.checked_add(1)?)?,
                    line.get(at.checked_add(2)?..)?,
                ))
            })
            .ok_or_else(|| {
                format!(
                    "line {}: write it as 'name: value'",
                    number.saturating_add(1)
                )
            })?;
        list.push(Field {
            name: name.trim().as_bytes().to_vec(),
            value: value.trim().as_bytes().to_vec(),
            never_indexed: false,
        });
    }
    if !list.is_empty() {
        lists.push(list);
    }
    Ok(lists)
}

/// Writes a list. Bytes that are no text stay as they are.
pub(super) fn write(fields: &[Field], out: &mut Vec<u8>) {
    for field in fields {
        out.extend_from_slice(&field.name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(&field.value);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_alike() {
        let text = ":method: GET\n:path: /a:b\naccept: */*\nx-empty: \n\n:status: 200\n\n";
        let lists = read(text).unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1]);
        assert_eq!(lists[0][1].value, b"/a:b");
        let mut written = Vec::new();
        for list in &lists {
            write(list, &mut written);
        }
        assert_eq!(written, text.as_bytes());
        assert!(read("a: b\nno colon").unwrap_err().contains("line 2"));
        assert!(read(":").is_err());
    }
}
