//! The dispatcher's [`Extension`] for the plugins.

use letschat_commands::extension::{AddedCommand, Doing, Extension};
use letschat_commands::failure::Failure;

use super::{Plugins, lock, registered};

impl Extension for Plugins {
    fn commands(&self) -> Vec<AddedCommand> {
        let books =
            self.instances().into_iter().map(|(_, instance)| instance.registrations.clone());
        let mut commands: Vec<AddedCommand> =
            books.flat_map(|registrations| lock(&registrations).commands.clone()).collect();
        commands.sort_by(|one, other| one.name.cmp(&other.name));
        commands
    }

    fn run<'a>(
        &'a self,
        name: &'a str,
        line: &'a str,
    ) -> Doing<'a, Result<Option<String>, Failure>> {
        Box::pin(self.run_command(name, line))
    }

    fn filter_sent<'a>(&'a self, to: Option<&'a str>, text: &'a str) -> Doing<'a, Option<String>> {
        Box::pin(self.filter_text(to, text))
    }

    fn ready(&self) -> Doing<'_, ()> {
        Box::pin(self.all_loaded())
    }

    fn list(&self) -> String {
        let loaded = self.lock();
        let mut lines: Vec<String> = loaded
            .iter()
            .map(|(name, plugin)| match plugin.running() {
                Some(instance) => {
                    format!("{name}: loaded{}", registered(&lock(&instance.registrations)))
                }
                None => format!("{name}: ended"),
            })
            .collect();
        let others = self.available().into_iter().filter(|name| !loaded.contains_key(name));
        lines.extend(others.map(|name| format!("{name}: not loaded")));
        if lines.is_empty() {
            return format!("There are no plugins in {}.", self.inner.folder.display());
        }
        lines.sort_unstable();
        lines.join("\n")
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.available();
        names.extend(self.lock().keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn load<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>> {
        Box::pin(self.load_one(name))
    }

    fn unload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>> {
        Box::pin(self.unload_one(name))
    }

    fn reload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>> {
        Box::pin(self.load_anew(name))
    }
}
