//! Show the report: results on standard output, refusals, errors and warnings on standard error.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use portclear::{PortSpec, Report};

use crate::cli::again::CommandLine;
use crate::cli::args::Args;
use crate::cli::check;
use crate::cli::journal::{is_journal, prefix};
use crate::cli::text::Section;

/// Prints what there is to say, in the order of the ports. The error is that of standard output: where standard error
/// takes nothing, the exit status still tells. `declined`: a person has just read about these ports, and said no.
pub(crate) fn report(args: &Args, report: &Report, declined: &[PortSpec]) -> io::Result<()> {
    if args.json {
        // The end of the line flushes it.
        return writeln!(io::stdout(), "{}", check::document(report, args.check));
    }
    let call = CommandLine::of_this_process();
    let ports = report.ports.iter().map(|port| {
        let section = Section::of_port(port, args, &call);
        if declined.contains(&port.spec) { section.brief() } else { section }
    });
    let swept = report.swept.as_ref().map(|swept| Section::of_sweep(swept, args));
    let rival = report.rival.as_ref().filter(|_| !args.quiet).map(|rival| Section::of_rival(rival, &call));
    let mut screen = Screen::new(args);
    let is_said = |section: &Section<'_>| !(section.silent || args.quiet && section.is_result());
    let sections: Vec<Section<'_>> = ports.chain(swept).chain(rival).filter(is_said).collect();
    for section in &sections {
        screen.show(section);
    }
    if !sections.is_empty() && report.ports.len() > 1 {
        let summary = Section::of_all(report, args.check);
        if is_said(&summary) {
            screen.show(&summary);
        }
    }
    screen.finish()
}

/// One of the two streams.
#[derive(Clone, Copy)]
struct Stream {
    is_journal: bool,
    /// A person reads it, and wants all of it.
    shows_blocks: bool,
    colors: ColorChoice,
}

/// Both streams. On a terminal they are one screen.
struct Screen {
    out: Stream,
    err: Stream,
    verbose: bool,
    /// What became of standard output.
    result: io::Result<()>,
}

impl Screen {
    fn new(args: &Args) -> Self {
        let stream = |is_journal, is_terminal| Stream {
            is_journal,
            // The journal and a mail are read by the line.
            shows_blocks: is_terminal && !is_journal && !args.quiet,
            colors: args.color,
        };
        Self {
            out: stream(is_journal(io::stdout()), io::stdout().is_terminal()),
            err: stream(is_journal(io::stderr()), io::stderr().is_terminal()),
            verbose: args.verbose,
            result: Ok(()),
        }
    }

    /// On its own stream, and in the journal where the other stream is that.
    fn show(&mut self, section: &Section<'_>) {
        let Self { out, err, verbose, .. } = *self;
        let is_result = section.is_result();
        if is_result || out.is_journal && !err.is_journal {
            let text = out.text(section, verbose);
            self.print(&text);
        }
        if !is_result || err.is_journal && !out.is_journal {
            // What stands on the other stream came first.
            let text = err.text(section, verbose);
            let _ = AutoStream::new(io::stderr(), err.colors).lock().write_all(&text);
        }
    }

    /// After an error nothing more is printed there: the other stream still says what is for it.
    fn print(&mut self, text: &[u8]) {
        if self.result.is_ok() {
            let mut out = AutoStream::new(io::stdout(), self.out.colors).lock();
            self.result = out.write_all(text).and_then(|()| out.flush());
        }
    }

    fn finish(self) -> io::Result<()> {
        self.result
    }
}

impl Stream {
    /// The whole section, so that one write is enough.
    fn text(self, section: &Section<'_>, verbose: bool) -> Vec<u8> {
        let mut text = Vec::new();
        // A write into memory does not fail.
        let _ = if self.shows_blocks {
            section.block(&mut text)
        } else {
            section.lines(&mut text, if self.is_journal { prefix(section.exit) } else { "" }, verbose)
        };
        text
    }
}
