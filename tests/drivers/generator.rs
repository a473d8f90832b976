//! Random Lua programs that end, and print the same whatever the order of a table or the address of an object.
//!
//! Every choice comes from the caller: seeded numbers, or the bytes of a fuzzer, which can so change one decision at a
//! time. Variables have a type each (`n1`, `s2`, `t3`, `f1`), so that most statements mean something; what fails is
//! caught and printed.

use std::fmt::Write as _;

/// Chooses a number below the given one.
pub trait Choices {
    fn below(&mut self, bound: u32) -> u32;
}

/// Choices from a seed (xorshift).
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Seeded {
        // Neighbouring seeds must not start alike; 0 would stay 0.
        Seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
}

impl Choices for Seeded {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

/// Choices from bytes; always 0 after their end, which makes whatever is simplest.
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u32::from(first) % bound
    }
}

/// Variables of each type.
const VARIABLES: u32 = 4;
/// Expressions and blocks nest this deep.
const DEPTH: u32 = 3;

/// What every program starts with. `fuel` ends what would run for too long.
const HEADER: &str = "\
local fuel = 3000
local function burn() fuel = fuel - 1; if fuel < 0 then error('out of fuel', 0) end end
local function show(v)
  if type(v) == 'number' or type(v) == 'string' or type(v) == 'boolean' or v == nil then return tostring(v):sub(1, 60) end
  return type(v)
end
local function sum(t) local s = 0; for k, v in pairs(t) do if math.type(v) == 'integer' then s = s + v end end return s end
local function size(t) local s = 0; for _ in pairs(t) do s = s + 1 end return s end
local V = {}
V.__index = V
V.__add = function(a, b) burn(); return setmetatable({#a + #b}, V) end
V.__concat = function(a, b) burn(); return 'V' end
V.__close = function() fuel = fuel - 1 end
V.__len = function(t) return rawlen(t) end
V.__call = function(self, x) burn(); return x end
V.__lt = function(a, b) return rawlen(a) < rawlen(b) end
V.__eq = function(a, b) return rawlen(a) == rawlen(b) end
V.__gc = function(t) t.again = {} end
local n1, n2, n3, n4 = 1, 2.5, -3, 1000
local s1, s2, s3, s4 = 'a', 'bc', '', 'a longer string that is not interned, for it has more than forty bytes'
local t1, t2, t3, t4 = {}, {1, 2, 3}, {x = 1}, setmetatable({}, V)
local f1, f2, f3, f4 = function(x) burn(); return x end, function() burn(); return 0 end, burn, function(...) burn(); return ... end
local function try(f, ...) local r = table.pack(pcall(f, ...)); print(show(r[1]), show(r[2]), r.n) end
";

struct Program<'a> {
    text: String,
    choices: &'a mut dyn Choices,
    depth: u32,
}

/// A program of up to `statements` statements.
pub fn program(choices: &mut dyn Choices, statements: u32) -> String {
    let mut program = Program { text: String::from(HEADER), choices, depth: 0 };
    for _ in 0..=program.choices.below(statements) {
        program.text.push_str("try(function() burn(); ");
        program.statement();
        program.text.push_str(" return n1 end)\n");
    }
    program.text.push_str("print(show(n1), show(n2), show(n3), show(n4), show(s1), show(s2), show(s3), show(s4))\n");
    program.text.push_str("print(size(t1), size(t2), size(t3), size(t4), sum(t1), sum(t2), sum(t3))\n");
    program.text
}

impl Program<'_> {
    fn pick<'s>(&mut self, from: &[&'s str]) -> &'s str {
        from[self.choices.below(from.len() as u32) as usize]
    }

    fn variable(&mut self, kind: char) {
        let number = self.choices.below(VARIABLES) + 1;
        write!(self.text, "{kind}{number}").expect("writing to a string");
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Whether there is room for something that contains others.
    fn deeper(&mut self) -> bool {
        self.depth < DEPTH && self.choices.below(3) != 0
    }

    fn number(&mut self) {
        if !self.deeper() {
            if self.choices.below(2) == 0 {
                return self.variable('n');
            }
            let literal =
                self.pick(&["0", "1", "7", "-1", "0.5", "1e3", "255", "math.maxinteger", "2^53", "0x7f", "13"]);
            return self.put(literal);
        }
        self.depth += 1;
        match self.choices.below(6) {
            0..=2 => {
                self.put("(");
                self.number();
                let operator = self.pick(&[" + ", " - ", " * ", " // ", " % ", " / ", " & ", " | ", " ~ ", " << "]);
                self.put(operator);
                self.number();
                self.put(")");
            }
            3 => {
                self.put("#");
                self.string();
            }
            4 => {
                let function = self.pick(&["math.floor(", "math.abs(", "size({", "select('#', "]);
                self.put(function);
                self.number();
                self.put(if function == "size({" { "})" } else { ")" });
            }
            _ => {
                self.put("(tonumber(");
                self.string();
                self.put(") or 9)");
            }
        }
        self.depth -= 1;
    }

    fn string(&mut self) {
        if !self.deeper() {
            if self.choices.below(2) == 0 {
                return self.variable('s');
            }
            let literal =
                self.pick(&["''", "'x'", "'key'", "'12'", "('long '):rep(20)", "'a,b,c'", "'\\0\\255'", "'%d'"]);
            return self.put(literal);
        }
        self.depth += 1;
        match self.choices.below(7) {
            0 => {
                self.put("(");
                self.string();
                self.put(" .. ");
                self.string();
                self.put("):sub(1, 3000)");
            }
            1 => {
                self.put("(");
                self.string();
                self.put("):sub(1, 200):rep(");
                let times = self.pick(&["2", "0", "5", "30"]);
                self.put(times);
                self.put(")");
            }
            2 => {
                self.put("((");
                self.string();
                let pattern = self.pick(&["'%a'", "'.'", "'[,x]+'", "'^.-,'", "'%w*'"]);
                let with =
                    self.pick(&["'<%0>'", "''", "string.upper", "{a = 'A', x = 'X'}", "function(c) return #c end"]);
                write!(self.text, "):sub(1, 300):gsub({pattern}, {with}))").expect("writing to a string");
            }
            3 => {
                self.put("('%s %5.1f %q'):format(");
                self.string();
                self.put(", ");
                self.number();
                self.put(", ");
                self.string();
                self.put("):sub(1, 3000)");
            }
            4 => {
                self.put("tostring(");
                self.number();
                self.put(")");
            }
            5 => {
                self.put("table.concat({");
                self.string();
                self.put(", ");
                self.number();
                self.put("}, ',')");
            }
            _ => {
                self.put("(");
                self.string();
                let method = self.pick(&["):upper()", "):reverse()", "):sub(2, -2)", "):lower()"]);
                self.put(method);
            }
        }
        self.depth -= 1;
    }

    fn table(&mut self) {
        if !self.deeper() {
            return self.variable('t');
        }
        self.depth += 1;
        match self.choices.below(5) {
            0 => {
                self.put("{");
                for _ in 0..self.choices.below(6) {
                    self.number();
                    self.put(", ");
                }
                self.put("x = ");
                self.string();
                self.put("}");
            }
            1 => {
                self.put("table.pack(f4(");
                self.number();
                self.put(", ");
                self.string();
                self.put("))");
            }
            2 => self.put("setmetatable({1, 2}, V)"),
            3 => {
                let mode = self.pick(&["k", "v", "kv"]);
                // What is in it lives on: when something else would go depends on more than the program.
                write!(self.text, "setmetatable({{V, print}}, {{__mode = '{mode}'}})").expect("writing to a string");
            }
            _ => {
                self.put("setmetatable({}, {__index = ");
                self.table();
                self.put("})");
            }
        }
        self.depth -= 1;
    }

    fn condition(&mut self) {
        match self.choices.below(3) {
            0 => {
                self.number();
                let operator = self.pick(&[" < ", " <= ", " == ", " ~= "]);
                self.put(operator);
                self.number();
            }
            1 => {
                self.string();
                let operator = self.pick(&[" < ", " == "]);
                self.put(operator);
                self.string();
            }
            _ => {
                self.table();
                let operator = self.pick(&[" < ", " == "]);
                self.put(operator);
                self.table();
            }
        }
    }

    fn block(&mut self) {
        self.depth += 1;
        for _ in 0..=self.choices.below(3) {
            self.put(" burn(); ");
            self.statement();
        }
        self.depth -= 1;
    }

    fn statement(&mut self) {
        let simple = 12;
        let kinds = if self.depth < DEPTH { simple + 10 } else { simple };
        match self.choices.below(kinds) {
            0 | 1 => {
                self.variable('n');
                self.put(" = ");
                self.number();
            }
            2 | 3 => {
                self.variable('s');
                self.put(" = ");
                self.string();
            }
            4 => {
                self.variable('t');
                self.put(" = ");
                self.table();
            }
            5 => {
                self.variable('t');
                let key = self.pick(&["[1]", ".x", "[n1]", "[s1]", "[-1]", "[2.5]", "[#t1 + 1]", "[true]"]);
                self.put(key);
                self.put(" = ");
                match self.choices.below(4) {
                    0 => self.number(),
                    1 => self.string(),
                    2 => self.table(),
                    _ => self.put("nil"),
                }
            }
            6 => {
                self.put("rawset(");
                self.variable('t');
                self.put(", ");
                self.number();
                self.put(", ");
                self.number();
                self.put(")");
            }
            7 => {
                let from_thin_air = self.pick(&[
                    "{}",
                    "{{}, {}}",
                    "function() return n1 end",
                    "('z'):rep(500)",
                    "coroutine.create(f1)",
                ]);
                write!(self.text, "for i = 1, 40 do local garbage = {from_thin_air} end").expect("writing to a string");
            }
            8 => {
                let what = self.pick(&["''", "'collect'", "'step'", "'generational'", "'incremental'"]);
                // The mode it was in before is not the program's business.
                let what = if what == "''" { "'collect'" } else { what };
                write!(self.text, "collectgarbage({what})").expect("writing to a string");
            }
            9 => {
                self.put("table.insert(t2, ");
                self.number();
                self.put("); if #t2 > 50 then table.remove(t2) end");
            }
            10 => {
                self.put("print(show(");
                match self.choices.below(3) {
                    0 => self.number(),
                    1 => self.string(),
                    _ => {
                        self.variable('t');
                        self.put(".x");
                    }
                }
                self.put("))");
            }
            11 => {
                self.put("error(");
                match self.choices.below(3) {
                    0 => self.string(),
                    1 => self.number(),
                    _ => self.table(),
                }
                self.put(")");
            }
            // What follows contains statements.
            12 => {
                self.put("for i = 1, ");
                let times = self.pick(&["3", "10", "60"]);
                self.put(times);
                self.put(" do ");
                self.block();
                self.put(" if i > 20 and n1 == 7 then break end end");
            }
            13 => {
                self.put("if ");
                self.condition();
                self.put(" then ");
                self.block();
                self.put(" else ");
                self.block();
                self.put(" end");
            }
            14 => {
                self.variable('f');
                self.put(" = function(a, ...) burn(); ");
                self.block();
                let result = self.pick(&["a", "n1", "...", "s2, n2", "f2(a)", "function() n3 = n1; return a end"]);
                write!(self.text, " return {result} end").expect("writing to a string");
            }
            15 => {
                self.variable('n');
                // Not a function, whose text would have its address.
                self.put(" = tonumber((");
                self.variable('f');
                self.put("(");
                self.number();
                self.put("))) or 0");
            }
            16 => {
                self.put("try(function(...) ");
                self.block();
                self.put(" return ... end, ");
                self.string();
                self.put(")");
            }
            17 => {
                self.put("local co = coroutine.wrap(function(a) ");
                self.block();
                self.put(" local b = coroutine.yield(a, n1); ");
                self.block();
                self.put(" return b end); show(co(1)); show(co(2))");
            }
            18 => {
                self.put("do local c <close> = setmetatable({}, V); ");
                self.block();
                self.put(" end");
            }
            19 => {
                self.put("while ");
                self.condition();
                self.put(" do burn(); ");
                self.block();
                self.put(" end");
            }
            20 => {
                self.put("table.sort(t2, function(a, b) ");
                self.block();
                self.put(" return a < b end)");
            }
            _ => {
                self.put("do local chunk = load('local x = ... return x', ");
                self.string();
                self.put("); show(chunk(");
                self.string();
                self.put(")); ");
                self.block();
                self.put(" end");
            }
        }
        self.put(";");
    }
}
