package main

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
)

// definition is the contract as its source declares it, in source order.
type definition struct {
	fset  *token.FileSet
	decls []decl
}

// decl is a group of constants, or one type or variable.
type decl struct {
	doc       []string // comment lines, without the slashes
	constants []constantDef
	keyword   string // type, var
	spec      ast.Spec
}

// constantDef is one constant; typ is empty where it is untyped.
type constantDef struct {
	name, typ string
	value     constant.Value
	comment   string
}

// sources are the files that hold the definition; everything else in package abi is the host's own.
var sources = []string{"abi.go", "descriptor.go"}

// load reads the definition from the folder of package abi. Only the sources are type-checked, so they import nothing.
func load(dir string) (*definition, error) {
	def := &definition{fset: token.NewFileSet()}
	var files []*ast.File
	for _, name := range sources {
		f, err := parser.ParseFile(def.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	if _, err := new(types.Config).Check("abi", def.fset, files, info); err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			switch gen.Tok {
			case token.CONST:
				def.decls = append(def.decls, constants(gen, info))
			case token.TYPE, token.VAR:
				for _, spec := range gen.Specs {
					narrow(spec)
					def.decls = append(def.decls, decl{doc: lines(gen.Doc), keyword: gen.Tok.String(), spec: spec})
				}
			}
		}
	}
	return def, nil
}

// narrow makes a type as wide as it is on the wire: the host packs what a column type is made with above its number.
func narrow(spec ast.Spec) {
	if t, ok := spec.(*ast.TypeSpec); ok && t.Name.Name == "Type" {
		t.Type = ast.NewIdent("uint16")
	}
}

func constants(gen *ast.GenDecl, info *types.Info) decl {
	group := decl{doc: lines(gen.Doc)}
	for _, spec := range gen.Specs {
		spec := spec.(*ast.ValueSpec)
		for _, ident := range spec.Names {
			c := info.Defs[ident].(*types.Const)
			def := constantDef{name: ident.Name, value: c.Val(), comment: strings.Join(lines(spec.Comment), " ")}
			switch t := c.Type().(type) {
			case *types.Named:
				def.typ = t.Obj().Name()
			case *types.Basic:
				if t.Info()&types.IsUntyped == 0 {
					def.typ = t.Name()
				}
			}
			group.constants = append(group.constants, def)
		}
	}
	return group
}

// lines are the lines of a comment; the text after the slashes is kept as it is, so that indented tables stay tables.
func lines(group *ast.CommentGroup) []string {
	if group == nil {
		return nil
	}
	var out []string
	for _, c := range group.List {
		out = append(out, strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), " "))
	}
	return out
}
