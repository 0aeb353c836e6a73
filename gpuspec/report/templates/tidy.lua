-- Make a notebook's Markdown fit for a document of its own.

-- Sections start at level 1, whatever level the notebook starts them at; on a web page at
-- level 2, because the title is the only heading of level 1.
local first = FORMAT:match("html") and 2 or 1
local function raise_headings(doc)
  local top = 6
  doc:walk({ Header = function(h) top = math.min(top, h.level) end })
  return doc:walk({ Header = function(h) h.level = h.level - top + first; return h end })
end

-- A link to a neighbouring file leads nowhere from a report; so does one to a missing section, and
-- one that is no page of the web does more than lead somewhere.
local function drop_dead_links(doc)
  local known = {}
  doc:walk({ Header = function(h) known[h.identifier] = true end })
  return doc:walk({
    Link = function(link)
      local section = link.target:match("^#(.+)$")
      local outside = link.target:match("^https?://")
      if not outside and not (section and known[section]) then return link.content end
    end,
    -- Files beside the notebook are not carried along: their description stands for them.
    Image = function(image) return image.caption end,
  })
end

-- Whatever is raw, in the title too, is shown as text.
local function show_raw(doc)
  return doc:walk({
    RawInline = function(raw) return pandoc.Str(raw.text) end,
    RawBlock = function(raw) return pandoc.Para({ pandoc.Str(raw.text) }) end,
  })
end

-- A formula is read aloud as it stands in the notebook: PDF/UA asks for that.
local function speak_math(doc)
  if FORMAT ~= "typst" then return doc end
  return doc:walk({
    Math = function(math)
      local body = pandoc.write(pandoc.Pandoc({ pandoc.Plain({ math }) }), "typst"):gsub("%s+$", "")
      if not body:match("^%$.*%$$") then return math end -- no formula: its text stays text
      local spoken = math.text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("%s+", " ")
      return pandoc.RawInline("typst", '#{ set math.equation(alt: "' .. spoken .. '"); ' .. body .. " }")
    end,
  })
end

function Pandoc(doc)
  return speak_math(drop_dead_links(raise_headings(show_raw(doc))))
end
