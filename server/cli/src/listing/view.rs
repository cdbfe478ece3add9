//! The form and the order in which a client wants a directory.

use std::cmp::Ordering;

use super::entry::Entry;

/// The form and the order of a directory page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) format: Format,
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
}

/// The form of a directory page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    #[default]
    Html,
    Json,
}

/// The property that the entries are sorted by. Directories are first in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    #[default]
    Name,
    Size,
    Time,
}

impl View {
    /// The view that the query names (`sort=name|size|time`, `order=asc|desc`). Other parameters
    /// and values are ignored.
    pub(crate) fn of(format: Format, query: Option<&str>) -> Self {
        let mut view = Self {
            format,
            ..Self::default()
        };
        for parameter in query.unwrap_or_default().split('&') {
            match parameter {
                "sort=name" => view.sort = Sort::Name,
                "sort=size" => view.sort = Sort::Size,
                "sort=time" => view.sort = Sort::Time,
                "order=asc" => view.descending = false,
                "order=desc" => view.descending = true,
                _ => {}
            }
        }
        view
    }

    pub(super) fn compare(self, a: &Entry, b: &Entry) -> Ordering {
        let kind = a.size.is_some().cmp(&b.size.is_some());
        let property = match self.sort {
            Sort::Name => Ordering::Equal,
            Sort::Size => a.size.cmp(&b.size),
            Sort::Time => a.modified.cmp(&b.modified),
        };
        let order = property.then_with(|| natural(&a.name, &b.name));
        let order = if self.descending {
            order.reverse()
        } else {
            order
        };
        kind.then(order)
    }
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }
}

/// Compares as people count: `a2` is before `a10`, and case matters last.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (number, other_number) = (digits(left), digits(right));
        let order = if number.is_empty() || other_number.is_empty() {
            let (first, second) = (left.chars().next(), right.chars().next());
            let (Some(first), Some(second)) = (first, second) else {
                return first.cmp(&second).then_with(|| a.cmp(b));
            };
            left = left.get(first.len_utf8()..).unwrap_or_default();
            right = right.get(second.len_utf8()..).unwrap_or_default();
            first.to_lowercase().cmp(second.to_lowercase())
        } else {
            left = left.get(number.len()..).unwrap_or_default();
            right = right.get(other_number.len()..).unwrap_or_default();
            let value = number.trim_start_matches('0');
            let other = other_number.trim_start_matches('0');
            value.len().cmp(&other.len()).then_with(|| value.cmp(other))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_digit());
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_natural_order() {
        let mut names = ["b", "a10", "A2", "a2", "a", "a02x", "é", "10", "9"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "a", "A2", "a2", "a02x", "a10", "b", "é"]);
    }

    #[test]
    fn the_query_names_an_order() {
        let view = |query| View::of(Format::Html, query);
        assert_eq!(view(None), View::default());
        assert_eq!(view(Some("a=b&sort=none&order=")), View::default());
        let expected = View {
            format: Format::Html,
            sort: Sort::Size,
            descending: true,
        };
        assert_eq!(view(Some("sort=size&order=desc")), expected);
    }

    #[test]
    fn directories_are_first_in_each_order() {
        let entry = |name: &str, size, modified| Entry {
            name: name.into(),
            size,
            modified: Some(modified),
        };
        let sorted = |query| {
            let mut entries = [
                entry("b", Some(1), 2),
                entry("a", Some(2), 1),
                entry("z", None, 9),
            ];
            entries.sort_by(|a, b| View::of(Format::Html, Some(query)).compare(a, b));
            entries.map(|entry| entry.name).concat()
        };
        for (query, expected) in [
            ("", "zab"),
            ("order=desc", "zba"),
            ("sort=size", "zba"),
            ("sort=size&order=desc", "zab"),
            ("sort=time", "zab"),
            ("sort=time&order=desc", "zba"),
        ] {
            assert_eq!(sorted(query), expected, "{query}");
        }
    }
}
