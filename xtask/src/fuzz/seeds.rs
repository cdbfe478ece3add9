//! Seeds: the inputs of a fuzz target in one file, each after its length in two bytes, big-endian.

use std::{fs, path::Path};

/// The most that a target's seeds take in the repository, in bytes.
const MAX_PACKED: usize = 10_000;

/// The inputs of a file of seeds.
pub(crate) fn unpack(mut packed: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = Vec::new();
    while let Some((len, rest)) = packed.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len));
        let (seed, rest) = rest
            .split_at_checked(len)
            .ok_or("a file of seeds ends in the middle of a seed")?;
        seeds.push(seed.to_vec());
        packed = rest;
    }
    Ok(seeds)
}

/// The shortest inputs of a folder, as many as fit.
pub(crate) fn pack(corpus: &Path) -> Result<Vec<u8>, String> {
    let io = |error| format!("{}: {error}", corpus.display());
    let mut inputs = Vec::new();
    for file in fs::read_dir(corpus).map_err(io)? {
        inputs.push(fs::read(file.map_err(io)?.path()).map_err(io)?);
    }
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let mut packed = Vec::new();
    for input in inputs {
        let Ok(len) = u16::try_from(input.len()) else {
            break;
        };
        if packed.len() + 2 + input.len() > MAX_PACKED {
            break;
        }
        packed.extend_from_slice(&len.to_be_bytes());
        packed.extend_from_slice(&input);
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_inputs_unpack_and_a_torn_file_is_an_error() {
        let packed = [&[0, 1, 7][..], &[0, 0], &[0, 2, 8, 9]].concat();
        let seeds = unpack(&packed);
        assert_eq!(seeds, Ok(vec![vec![7], vec![], vec![8, 9]]));
        assert!(unpack(&packed[..8]).is_err());
    }
}
