//! Values copied out of a VM. The VM's memory limit does not count a copy, so copies have limits of their
//! own. They are checked before anything is copied.

use std::ffi::c_void;

use mlua::{FromLua, Lua, LuaString, Table, Value};
use serde_json::{Map, Number, Value as Json};

use super::failure::{LuaResult, misuse};
use super::limits::{COPIED_BYTES, COPIED_DEPTH, COPIED_VALUES, TEXT_BYTES};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// A text argument of an API function.
pub(super) struct Text(pub(super) String);

impl FromLua for Text {
    fn from_lua(value: Value, _: &Lua) -> mlua::Result<Text> {
        text(&value).map(Text).map_err(|failure| mlua::Error::runtime(failure.message))
    }
}

/// Returns a text of at most [`TEXT_BYTES`]. A number is converted to text.
pub(super) fn text(value: &Value) -> LuaResult<String> {
    match value {
        Value::String(text) if text.as_bytes().len() > TEXT_BYTES => {
            Err(too_much(&format!("A text has at most {TEXT_BYTES} bytes here.")))
        }
        Value::String(text) => utf8(text),
        Value::Integer(_) | Value::Number(_) => {
            value.to_string().map_err(|_| misuse("That number is no text."))
        }
        other => Err(misuse(format!("A text is needed, and not a {}.", other.type_name()))),
    }
}

/// Returns about the first `bytes` bytes of a text.
pub(super) fn beginning(text: &LuaString, bytes: usize) -> String {
    let whole = text.as_bytes();
    String::from_utf8_lossy(&whole[..whole.len().min(bytes)]).into_owned()
}

/// Converts a value to JSON. It accepts strings, numbers, booleans, and tables that are lists or have
/// string keys.
pub(super) fn to_json(value: &Value) -> LuaResult<Json> {
    Copying::default().value(value)
}

/// The progress of one copy.
#[derive(Default)]
struct Copying {
    bytes: usize,
    values: usize,
    /// The tables that enclose the current value.
    around: Vec<*const c_void>,
}

impl Copying {
    fn value(&mut self, value: &Value) -> LuaResult<Json> {
        self.values += 1;
        if self.values > COPIED_VALUES {
            return Err(too_much(&format!("There are more than {COPIED_VALUES} values in it.")));
        }
        match value {
            Value::Nil => Ok(Json::Null),
            Value::Boolean(value) => Ok(Json::Bool(*value)),
            Value::Integer(number) => Ok(Json::from(*number)),
            Value::Number(number) => Number::from_f64(*number)
                .map(Json::Number)
                .ok_or_else(|| misuse("A number that is infinite, or none, can't be kept.")),
            Value::String(text) => self.text(text).map(Json::String),
            Value::Table(table) => self.table(table),
            other => Err(misuse(format!("A {} can't be kept.", other.type_name()))),
        }
    }

    fn text(&mut self, text: &LuaString) -> LuaResult<String> {
        self.bytes += text.as_bytes().len();
        if self.bytes > COPIED_BYTES {
            return Err(too_much(&format!("There are more than {COPIED_BYTES} bytes in it.")));
        }
        utf8(text)
    }

    fn table(&mut self, table: &Table) -> LuaResult<Json> {
        let pointer = table.to_pointer();
        if self.around.contains(&pointer) {
            return Err(misuse("A table that contains itself can't be kept."));
        }
        if self.around.len() >= COPIED_DEPTH {
            return Err(too_much(&format!("Its tables are more than {COPIED_DEPTH} deep.")));
        }
        self.around.push(pointer);
        let copy = match table.raw_len() {
            0 => self.names(table),
            length => self.list(table, length),
        };
        self.around.pop();
        copy
    }

    fn names(&mut self, table: &Table) -> LuaResult<Json> {
        let mut fields = Map::new();
        for pair in table.pairs::<Value, Value>() {
            let (name, value) = pair.map_err(lua_failed)?;
            let Value::String(name) = name else { return Err(neither()) };
            let name = self.text(&name)?;
            fields.insert(name, self.value(&value)?);
        }
        Ok(Json::Object(fields))
    }

    fn list(&mut self, table: &Table, length: usize) -> LuaResult<Json> {
        if table.pairs::<Value, Value>().take(length + 1).count() != length {
            return Err(neither());
        }
        let mut list = Vec::new();
        for index in 1..=length {
            let value: Value = table.raw_get(index).map_err(lua_failed)?;
            list.push(self.value(&value)?);
        }
        Ok(Json::Array(list))
    }
}

fn utf8(text: &LuaString) -> LuaResult<String> {
    let text = text.to_str().map_err(|_| misuse("A text has to be UTF-8."))?;
    Ok(text.to_owned())
}

fn neither() -> Failure {
    misuse("A table is a list without gaps, or all in it have names that are texts.")
}

fn too_much(why: &str) -> Failure {
    Failure::new(FailureCode::Limit, format!("That is too much: {why}"))
}

fn lua_failed(error: mlua::Error) -> Failure {
    Failure::new(FailureCode::Lua, super::failure::error_text(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn copy(source: &str) -> LuaResult<Json> {
        let lua = Lua::new();
        to_json(&lua.load(source).eval().unwrap())
    }

    fn refused(source: &str) -> (&'static str, String) {
        let failure = copy(source).unwrap_err();
        (failure.code.name(), failure.message)
    }

    #[test]
    fn texts_numbers_booleans_and_tables_of_them_are_copied() {
        for (source, expected) in [
            ("return nil", json!(null)),
            ("return 'ä'", json!("ä")),
            ("return {}", json!({})),
            ("return {1, 2.5, true, {'x'}}", json!([1, 2.5, true, ["x"]])),
            ("return {a = {b = -1}, c = 2 ^ 40}", json!({"a": {"b": -1}, "c": 1_i64 << 40})),
            ("local t = {1} return {t, t}", json!([[1], [1]])),
        ] {
            assert_eq!(copy(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn what_json_has_not_is_refused() {
        for (source, words) in [
            ("return print", "A function can't be kept."),
            ("return {coroutine.create(print)}", "A thread can't be kept."),
            ("return buffer.create(1)", "A buffer can't be kept."),
            ("return 0 / 0", "infinite, or none"),
            ("return {math.huge}", "infinite, or none"),
            ("return '\\255'", "has to be UTF-8"),
            ("return {['\\255'] = 1}", "has to be UTF-8"),
            ("return {1, 2, x = 3}", "is a list without gaps"),
            ("return {1, nil, 3}", "is a list without gaps"),
            ("return {[5] = 1}", "is a list without gaps"),
            ("return {[true] = 1}", "is a list without gaps"),
            ("local t = {} t.t = t return t", "contains itself"),
            ("local t, u = {}, {} t[1] = u u[1] = t return t", "contains itself"),
        ] {
            let (code, message) = refused(source);
            assert!(code == "bad_arguments" && message.contains(words), "{source}: {message}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_copied() {
        let shared = "local t = {1, 2} for i = 1, 60 do t = {t, t} end return t";
        let deep = "local t = {} for i = 1, 100 do t = {t} end return t";
        for (source, words) in [
            ("return string.rep('x', 2 ^ 20 + 1)", "more than 1048576 bytes"),
            ("return table.create(1000, string.rep('x', 2 ^ 20))", "more than 1048576 bytes"),
            ("return {[string.rep('x', 2 ^ 21)] = 1}", "more than 1048576 bytes"),
            ("return table.create(2 ^ 20, 1)", "more than 100000 values"),
            (shared, "more than 100000 values"),
            (deep, "more than 64 deep"),
        ] {
            let (code, message) = refused(source);
            assert!(code == "limit" && message.contains(words), "{source}: {message}");
        }
    }

    #[test]
    fn an_argument_is_a_text_of_a_bounded_length() {
        let lua = Lua::new();
        let read = |source: &str| text(&lua.load(source).eval().unwrap());
        assert_eq!(read("return 'two words'").unwrap(), "two words");
        assert_eq!(read("return 5").unwrap(), "5");
        assert_eq!(read("return string.rep('x', 65536)").unwrap().len(), TEXT_BYTES);
        assert_eq!(read("return string.rep('x', 65537)").unwrap_err().code, FailureCode::Limit);
        assert_eq!(read("return {}").unwrap_err().code, FailureCode::BadArguments);
        assert_eq!(read("return '\\255'").unwrap_err().code, FailureCode::BadArguments);
    }
}
