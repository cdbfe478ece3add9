//! The static table of RFC 7541, appendix A: `hpack/src/static_table/entries.rs`.

use std::path::Path;

use super::{Generated, read_rows, wrap};

/// The number of slots of the look-up by name; a power of two.
const SLOTS: u32 = 128;

pub fn generate(spec: &Path) -> Result<Generated, String> {
    let file = spec.join("hpack_static_table.tsv");
    let mut entries = Vec::new();
    for (place, row) in read_rows(&file)?.into_iter().enumerate() {
        match row.as_slice() {
            [index, name, value] if index.parse() == Ok(place + 1) => {
                entries.push((name.clone(), value.clone()));
            }
            _ => return Err(format!("{}: not a row: {row:?}", file.display())),
        }
    }
    let names = first_indices(&entries);
    let (multipliers, slots) = perfect_hash(&names)
        .ok_or_else(|| format!("no collision-free look-up with {SLOTS} slots"))?;
    let rows: String = entries
        .iter()
        .enumerate()
        .map(|(place, (name, value))| {
            let same_name = entries.iter().filter(|entry| entry.0 == *name).count();
            let first = names.iter().any(|&(index, _)| index == place + 1);
            format!(
                "    Entry {{ joined: b\"{name}{value}\", name_len: {}, values: {} }},\n",
                name.len(),
                if first { same_name } else { 0 },
            )
        })
        .collect();
    let text = format!(
        "//! The static table of RFC 7541, appendix A.

use super::Entry;

/// The entries. The first one has index 1.
#[rustfmt::skip]
pub(super) static ENTRIES: [Entry; {count}] = [
{rows}];

/// Factors of a name's length and of its first, middle and last byte. They map every name to a slot
/// of its own.
pub(super) const FACTORS: [u32; 4] = {multipliers:?};

/// For each slot: the first index of the only name that can be there, or 0.
#[rustfmt::skip]
pub(super) static SLOTS: [u8; {SLOTS}] = [
{slots}];
",
        count = entries.len(),
        slots = wrap(slots.iter().map(usize::to_string)),
    );
    Ok(Generated {
        path: "hpack/src/static_table/entries.rs",
        text,
    })
}

/// Every name with its smallest index.
fn first_indices(entries: &[(String, String)]) -> Vec<(usize, &str)> {
    let mut names: Vec<(usize, &str)> = Vec::new();
    for (place, (name, _)) in entries.iter().enumerate() {
        if !names.iter().any(|&(_, known)| known == name) {
            names.push((place + 1, name));
        }
    }
    names
}

/// Tries factors in a fixed order until no two names share a slot.
fn perfect_hash(names: &[(usize, &str)]) -> Option<([u32; 4], Vec<usize>)> {
    for seed in 0u32..1 << 24 {
        let factors = [
            1 + (seed & 63),
            1 + (seed >> 6 & 63),
            1 + (seed >> 12 & 63),
            1 + (seed >> 18 & 63),
        ];
        let mut slots = vec![0; SLOTS as usize];
        let free = names.iter().all(|&(index, name)| {
            let slot = &mut slots[slot(name.as_bytes(), factors)];
            std::mem::replace(slot, index) == 0
        });
        if free {
            return Some((factors, slots));
        }
    }
    None
}

/// The same computation as `static_table::slot` in the library.
fn slot(name: &[u8], factors: [u32; 4]) -> usize {
    let byte = |place: usize| u32::from(name[place]);
    let sum = factors[0] * name.len() as u32
        + factors[1] * byte(0)
        + factors[2] * byte(name.len() / 2)
        + factors[3] * byte(name.len() - 1);
    (sum % SLOTS) as usize
}
