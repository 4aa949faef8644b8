//! Reads a container's log, over all its files, and on while it is written. All of this blocks.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{files, line};

/// How much is read at once; a longer line comes in parts. The runtime writes none as long.
const CHUNK_BYTES: usize = 64 << 10;

/// Where in a container's log one is.
pub struct Reading {
    folder: PathBuf,
    attempt: u32,
    file: Option<File>,
    offset: u64,
    with_time: bool,
    begins: bool,
}

impl Reading {
    /// From so many lines before the end, or from the first that is kept.
    pub fn open(folder: &Path, attempt: u32, tail: Option<u32>, with_time: bool) -> io::Result<Self> {
        let all = files::of_container(folder, attempt)?;
        let mut reading = Self { folder: folder.to_owned(), attempt, file: None, offset: 0, with_time, begins: true };
        let Some(tail) = tail else {
            reading.file = all.first().map(File::open).transpose()?;
            return Ok(reading);
        };
        let mut left = u64::from(tail);
        for path in all.iter().rev() {
            let mut file = File::open(path)?;
            let (offset, found) = last_lines(&mut file, left)?;
            (reading.file, reading.offset) = (Some(file), offset);
            left -= found;
            if left == 0 {
                break;
            }
        }
        Ok(reading)
    }

    /// What follows, a part of it; nothing where no more is written yet.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(part) = self.next_of_file()? {
                return Ok(Some(part));
            }
            let Some(next) = self.following()? else { return Ok(None) };
            // Until there was another, the one that is read was written to.
            if let Some(part) = self.next_of_file()? {
                return Ok(Some(part));
            }
            (self.file, self.offset) = (Some(next), 0);
        }
    }

    fn next_of_file(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        // What has no end yet is being written.
        let end = match chunk.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if chunk.len() == CHUNK_BYTES => CHUNK_BYTES,
            None => return Ok(None),
        };
        self.offset += end as u64;
        let mut out = Vec::with_capacity(end);
        for one in chunk[..end].split_inclusive(|byte| *byte == b'\n') {
            line::add(one.strip_suffix(b"\n").unwrap_or(one), self.with_time, &mut self.begins, &mut out);
        }
        Ok(Some(out))
    }

    /// The file after the one that was read, where there is one.
    fn following(&mut self) -> io::Result<Option<File>> {
        let all = files::of_container(&self.folder, self.attempt)?;
        let next = match &self.file {
            None => all.first(),
            Some(file) => {
                // It may have another name by now, or none.
                let own = file.metadata()?.ino();
                let is_own = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.ino() == own);
                match all.iter().position(is_own) {
                    Some(position) => all.get(position + 1),
                    None => all.first(),
                }
            }
        };
        let Some(next) = next else { return Ok(None) };
        match File::open(next) {
            // It was put away just now: it is found by its other name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }
}

/// Where the last lines of a file begin, and how many they are: so many at most.
fn last_lines(file: &mut File, most: u64) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let (mut end, mut found) = (length, 0);
    let mut block = vec![0; CHUNK_BYTES];
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(CHUNK_BYTES)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (position, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + position as u64 + 1;
            // The end of the line that is last begins none.
            if after < length {
                found += 1;
                if found == most {
                    return Ok((after, found));
                }
            }
        }
        end = start;
        if most == 0 {
            return Ok((length, 0));
        }
    }
    Ok((0, if length > 0 { found + 1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn write(path: &Path, lines: std::ops::Range<u32>) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        for number in lines {
            writeln!(file, "2026-01-01T00:00:00Z stdout F line {number}").unwrap();
        }
    }

    fn rest(reading: &mut Reading) -> String {
        let mut all = Vec::new();
        while let Some(part) = reading.next().unwrap() {
            all.extend(part);
        }
        String::from_utf8(all).unwrap()
    }

    fn lines(numbers: std::ops::Range<u32>) -> String {
        numbers.flat_map(|number| ["line ".to_owned(), number.to_string(), "\n".to_owned()]).collect()
    }

    #[test]
    fn a_log_is_read_over_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (old, live) = (folder.path().join("0.log.000000001"), folder.path().join("0.log"));
        write(&old, 0..5_000);
        write(&live, 5_000..5_010);
        let open = |tail| Reading::open(folder.path(), 0, tail, false).unwrap();
        assert_eq!(rest(&mut open(None)), lines(0..5_010));
        for tail in [0, 1, 9, 10, 11, 4_000, 5_009, 5_010, 9_999] {
            assert_eq!(rest(&mut open(Some(tail))), lines(5_010_u32.saturating_sub(tail)..5_010), "{tail}");
        }
        assert_eq!(rest(&mut Reading::open(folder.path(), 7, Some(3), false).unwrap()), "");
    }

    #[test]
    fn what_is_written_later_follows_through_a_change_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("0.log");
        let mut reading = Reading::open(folder.path(), 0, None, false).unwrap();
        assert_eq!(rest(&mut reading), "", "there is none yet");
        write(&live, 0..2);
        assert_eq!(rest(&mut reading), lines(0..2));
        File::options().append(true).open(&live).unwrap().write_all(b"2026-01-01T00:00:00Z stdout F li").unwrap();
        assert_eq!(rest(&mut reading), "", "half a line is none");
        File::options().append(true).open(&live).unwrap().write_all(b"ne 2\n").unwrap();
        fs::rename(&live, folder.path().join("0.log.000000001")).unwrap();
        write(&live, 3..4);
        fs::rename(&live, folder.path().join("0.log.000000002")).unwrap();
        write(&live, 4..6);
        assert_eq!(rest(&mut reading), lines(2..6));
        fs::rename(&live, folder.path().join("0.log.000000003")).unwrap();
        assert_eq!(rest(&mut reading), "");
        write(&live, 6..7);
        assert_eq!(rest(&mut reading), lines(6..7));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0.log"), vec![b'x'; 1 << 20]).unwrap();
        let mut reading = Reading::open(folder.path(), 0, None, false).unwrap();
        let part = reading.next().unwrap().unwrap();
        assert!(part.len() <= CHUNK_BYTES + 1);
    }
}
