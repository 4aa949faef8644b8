use longshore_fleet::Instruction;

/// The longest line that is read, in bytes.
const MOST_BYTES: usize = 16 << 20;

/// Instructions, of bytes as they come.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The instructions that are whole with these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Instruction>, String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return if self.rest.len() > MOST_BYTES { Err("a line has no end".to_owned()) } else { Ok(Vec::new()) };
        };
        let read = |line: &[u8]| serde_json::from_slice(line).map_err(|error| format!("an instruction can't be read: {error}"));
        let instructions =
            self.rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(read).collect::<Result<_, _>>();
        self.rest.drain(..=end);
        instructions
    }
}
